// SPDX-License-Identifier: Apache-2.0
// The packet builder of the tests, checked against libtins: what it builds is what an independent
// library serializes.
#include <gtest/gtest.h>
#include <tins/tins.h>

#include "tests/support/packet.h"

namespace trap::test {
namespace {

void set_segment(Tins::TCP& tcp) {
  tcp.seq(0x11223344);
  tcp.ack_seq(0x55667788);
  tcp.window(64240);
  tcp.flags(Tins::TCP::ACK | Tins::TCP::PSH);
  tcp.mss(1460);
}

const Json description = {
    {"tcp",
     {{"seq", 0x11223344}, {"ack", 0x55667788}, {"flags", "PA"}, {"options", {{{"mss", 1460}}}}}},
    {"payload", "68656c6c6f"}};

TEST(Builder, ipv4_is_what_libtins_serializes) {
  Tins::IP ip("203.0.113.10", "192.0.2.2");
  ip.ttl(64);
  ip.id(0);
  ip.flags(Tins::IP::DONT_FRAGMENT);
  Tins::TCP tcp(80, 40000);
  set_segment(tcp);
  Tins::EthernetII frame =
      Tins::EthernetII("00:00:00:00:00:00", "02:00:00:00:00:01") / ip / tcp / Tins::RawPDU("hello");
  EXPECT_EQ(difference(build_packet(description, 4, TestConstants()), frame.serialize()), "");
}

TEST(Builder, ipv6_is_what_libtins_serializes) {
  Tins::IPv6 ip("2001:db8:113::10", "2001:db8:2::2");
  ip.hop_limit(64);
  Tins::TCP tcp(80, 40000);
  set_segment(tcp);
  Tins::EthernetII frame =
      Tins::EthernetII("00:00:00:00:00:00", "02:00:00:00:00:01") / ip / tcp / Tins::RawPDU("hello");
  EXPECT_EQ(difference(build_packet(description, 6, TestConstants()), frame.serialize()), "");
}

} // namespace
} // namespace trap::test
