// SPDX-License-Identifier: Apache-2.0
// Packets as lines: what a line makes is what the test's own packet builder makes, and comes out as
// the same line.
#include <gmock/gmock.h>

#include "runtime/packet/packet_text.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

using testing::HasSubstr;

Bytes built(Json packet, int family) {
  packet["eth"] = {{"src", "02:00:00:00:00:01"}, {"dst", "02:00:00:00:00:02"}};
  return build_packet(packet, family, TestConstants());
}

void expect_same_behind_the_ethernet_addresses(const std::string& line, const Json& packet,
                                               int family) {
  auto frame = parse_packet(line);
  ASSERT_TRUE(frame) << line << ": " << frame.error().message;
  Bytes wanted = built(packet, family);
  ASSERT_EQ(frame->size(), wanted.size()) << line;
  EXPECT_EQ(difference(Bytes(wanted.begin() + 12, wanted.end()),
                       Bytes(frame->begin() + 12, frame->end())),
            "")
      << line;
}

TEST(PacketText, makes_the_frame_that_the_line_means) {
  const Json ip4 = {{"src", "198.51.100.7"}, {"dst", "203.0.113.10"}};
  const Json ip6 = {{"src", "2001:db8::7"}, {"dst", "2001:db8::10"}};
  const Json syn = {{"sport", 4242},
                    {"dport", 443},
                    {"flags", "S"},
                    {"seq", 7},
                    {"ack", 0},
                    {"window", 1024},
                    {"options", {{{"mss", 1460}}}}};
  expect_same_behind_the_ethernet_addresses(
      "tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN seq=7 window=1024 mss=1460",
      {{"ip", ip4}, {"tcp", syn}}, 4);
  expect_same_behind_the_ethernet_addresses(
      "tcp [2001:db8::7]:4242 > [2001:db8::10]:443 SYN seq=0x7 window=1024 mss=1460",
      {{"ip", ip6}, {"tcp", syn}}, 6);
  const Json ack = {{"sport", 4242},
                    {"dport", 443},
                    {"flags", "AP"},
                    {"seq", 1},
                    {"ack", 4294967295U},
                    {"window", 64240},
                    {"options", {{{"accept", 0}, {"experimental", true}}}}};
  expect_same_behind_the_ethernet_addresses("tcp 198.51.100.7:4242 > 203.0.113.10:443 ACK PSH "
                                            "seq=1 ack=4294967295 accept experimental payload=5",
                                            {{"ip", ip4}, {"tcp", ack}, {"payload", "0000000000"}},
                                            4);
}

TEST(PacketText, comes_out_as_it_went_in) {
  for (const std::string line : {
           "tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN seq=1 mss=1460 sack-perm timestamp=5:0 "
           "nop wscale=7",
           "tcp [2001:db8::7]:4242 > [2001:db8::10]:443 SYN ticket=0102030405060708090a0b0c",
           "tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN ACK seq=1 ack=2 window=0 offer",
           "tcp 198.51.100.7:4242 > 203.0.113.10:443 ACK accept experimental payload=100 vlan=7 "
           "vlan=4095",
           "tcp 198.51.100.7:4242 > 203.0.113.10:443 RST "
           "announce=000102030405060708090a0b0c0d0e0f1011121314",
           "tcp 203.0.113.10:443 > 198.51.100.7:4242 SYN ACK mss=1460 consent=0001020304",
           "tcp [2001:db8::10]:443 > [2001:db8::7]:4242 SYN ACK consent=0001020304 experimental",
           "tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN RST FIN PSH URG ECE CWR bad-checksum",
           "tcp 198.51.100.7:4242 > 203.0.113.10:443 fragment vlan=3",
           "tcp 198.51.100.7:4242 > 203.0.113.10:443",
       }) {
    auto frame = parse_packet(line);
    ASSERT_TRUE(frame) << line << ": " << frame.error().message;
    EXPECT_EQ(format_packet(*frame), line);
  }
}

TEST(PacketText, says_what_it_does_not_understand) {
  const std::string ends = "tcp 198.51.100.7:4242 > 203.0.113.10:443 ";
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "does not begin with"},
      {"tcp 198.51.100.7:4242", "does not begin with"},
      {"sctp 198.51.100.7:4242 > 203.0.113.10:443", "does not begin with"},
      {"tcp 198.51.100.7 > 203.0.113.10:443", "198.51.100.7"},
      {"tcp 198.51.100.7:4242 > [2001:db8::1]:443 SYN", "two families"},
      {ends + "syn", "\"syn\" is not understood"},
      {ends + "SYN colour=3", "\"colour=3\" is not understood"},
      {ends + "seq=4294967296", "from 0 to 4294967295"},
      {ends + "seq=", "from 0 to"},
      {ends + "seq=0x", "from 0 to"},
      {ends + "seq=-1", "from 0 to"},
      {ends + "vlan=1 vlan=2 vlan=3", "more than 2 times"},
      {ends + "ticket=0102", "write 24 hexadecimal digits"},
      {ends + "ticket=0102030405060708090a0b0x", "write 24 hexadecimal digits"},
      {ends + "timestamp=5", "VALUE:ECHO"},
      {ends + "redirect=00", "hexadecimal digits"},
      {ends + "payload=9001", "from 0 to 9000"},
      {ends + "timestamp=1:1 timestamp=1:1 timestamp=1:1 timestamp=1:1 mss=1", "room for 40"},
  };
  for (const auto& [line, reason] : wrong) {
    auto frame = parse_packet(line);
    ASSERT_FALSE(frame) << line;
    EXPECT_THAT(frame.error().message, HasSubstr(reason)) << line;
    EXPECT_EQ(frame.error().exit_code, ExitCode::usage) << line;
  }
}

TEST(PacketText, has_a_line_for_whatever_comes) {
  EXPECT_EQ(format_packet({}), "no TCP: a frame of 0 bytes");
  auto frame = parse_packet("tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN mss=1460 timestamp=1:0");
  ASSERT_TRUE(frame);
  for (std::size_t bytes = 0; bytes < frame->size(); bytes++)
    EXPECT_FALSE(
        format_packet(Frame(frame->begin(), frame->begin() + static_cast<long>(bytes))).empty());
  (*frame)[14 + 20 + 20 + 1] = 200; // an option beyond the options
  EXPECT_THAT(format_packet(*frame), HasSubstr("malformed-options"));
}

} // namespace
} // namespace trap::test
