// SPDX-License-Identifier: Apache-2.0
// Capture files as tools write them: each format, byte order, resolution and link layer that is
// read gives the same packets, and what is not read or damaged is refused in a line.
#include "ctl/explain/pcap_file.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

#include "ctl/capture/pcapng.h"
#include "ctl/explain/link_layer.h"

namespace trap::ctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t ethernet_bytes = 14;

Bytes frame_of(const std::string& line) {
  auto frame = parse_packet(line);
  EXPECT_TRUE(frame) << line;
  return frame ? *frame : Bytes();
}
Bytes syn_v4() {
  return frame_of("tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN");
}
Bytes syn_v6() {
  return frame_of("tcp [2001:db8::7]:4242 > [2001:db8:113::10]:443 SYN");
}
std::string text(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}
std::string ip_of(const Bytes& frame) {
  return text(frame).substr(ethernet_bytes);
}

// Numbers in the byte order of a file's writer.
struct Order {
  bool is_big = false;

  std::string number(std::uint64_t value, std::size_t bytes) const {
    std::string to;
    for (std::size_t i = 0; i < bytes; i++)
      to += static_cast<char>(value >> 8 * (is_big ? bytes - 1 - i : i));
    return to;
  }
  std::string words(std::initializer_list<std::uint32_t> all) const {
    std::string to;
    for (const std::uint32_t value : all)
      to += number(value, 4);
    return to;
  }
  std::string halves(std::initializer_list<std::uint32_t> all) const {
    std::string to;
    for (const std::uint32_t value : all)
      to += number(value, 2);
    return to;
  }
  std::string block(std::uint32_t type, std::string body) const {
    body.resize((body.size() + 3) / 4 * 4);
    const auto bytes = static_cast<std::uint32_t>(body.size() + 12);
    return words({type, bytes}) + body + words({bytes});
  }
  std::string section() const {
    return block(0x0a0d0d0a, words({0x1a2b3c4d}) + halves({1, 0}) + std::string(8, '\xff'));
  }
  // With options that nobody reads here: a name, an address and a resolution.
  std::string interface(std::uint32_t link_type, std::uint32_t snap_bytes = 0) const {
    return block(1, halves({link_type, 0}) + words({snap_bytes}) + halves({2, 4}) + "eth0" +
                        halves({4, 8}) + std::string(8, 'a') + halves({9, 1}) +
                        std::string("\x09\0\0\0", 4) + halves({0, 0}));
  }
  std::string packet(std::uint32_t interface, const std::string& bytes) const {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    return block(6, words({interface, 0, 0, size, size}) + bytes);
  }
};
constexpr Order little{false}, big{true};

std::string pcap(const Order& order, std::uint32_t magic, std::uint32_t link_type,
                 const std::vector<std::string>& packets, std::uint32_t cut_off = 0) {
  std::string file =
      order.words({magic}) + order.halves({2, 4}) + order.words({0, 0, 262144, link_type});
  for (const std::string& packet : packets) {
    const auto size = static_cast<std::uint32_t>(packet.size());
    file += order.words({1, 2, size - cut_off, size});
    if (magic == 0xa1b2cd34)
      file += std::string(8, '\1');
    file += packet.substr(0, size - cut_off);
  }
  return file;
}

class PcapFiles : public testing::Test {
protected:
  void TearDown() override { std::filesystem::remove(path_); }

  // The packets as lines, and the error that ends them.
  std::vector<std::string> lines(const std::string& file) {
    std::ofstream(path_, std::ios::binary) << file;
    auto opened = PcapFile::open(path_);
    if (!opened)
      return {opened.error().message};
    std::vector<std::string> all;
    for (;;) {
      auto frame = opened->next();
      if (!frame)
        all.push_back(frame.error().message);
      if (!frame || !*frame)
        return all;
      all.push_back(format_packet(**frame));
    }
  }

  std::string path_ = testing::TempDir() + "trap-pcap-file-test." + std::to_string(getpid());
  std::string v4_ = format_packet(syn_v4()), v6_ = format_packet(syn_v6());
};

TEST_F(PcapFiles, OfEitherByteOrderAndResolution) {
  for (const Order& order : {little, big})
    for (const std::uint32_t magic : {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34})
      EXPECT_THAT(lines(pcap(order, magic, 1, {text(syn_v4()), text(syn_v6())})),
                  ElementsAre(v4_, v6_))
          << order.is_big << std::hex << magic;
}

TEST_F(PcapFiles, OfEachLinkLayer) {
  const std::string four = ip_of(syn_v4()), six = ip_of(syn_v6());
  for (const std::uint32_t raw : {101, 12, 14})
    EXPECT_THAT(lines(pcap(little, 0xa1b2c3d4, raw, {four, six})), ElementsAre(v4_, v6_)) << raw;
  EXPECT_THAT(lines(pcap(big, 0xa1b2c3d4, 228, {four})), ElementsAre(v4_));
  EXPECT_THAT(lines(pcap(big, 0xa1b2c3d4, 229, {six})), ElementsAre(v6_));
  for (const Order& order : {little, big})
    for (const std::uint32_t inet6 : {10, 24, 28, 30})
      EXPECT_THAT(
          lines(pcap(little, 0xa1b2c3d4, 0, {order.words({2}) + four, order.words({inet6}) + six})),
          ElementsAre(v4_, v6_));
  EXPECT_THAT(lines(pcap(little, 0xa1b2c3d4, 108, {big.words({2}) + four})), ElementsAre(v4_));
  const auto cooked = [](std::uint32_t protocol, std::uint32_t hardware = 1) {
    return big.halves({0, hardware, 6}) + std::string("\2\0\0\0\0\7\0\0", 8) +
           big.halves({protocol});
  };
  const auto cooked_2 = [](std::uint32_t protocol) {
    return big.halves({protocol, 0}) + big.words({3}) + big.halves({1}) +
           std::string("\0\6\2\0\0\0\0\7\0\0", 10);
  };
  EXPECT_THAT(lines(pcap(little, 0xa1b2c3d4, 113, {cooked(0x0800) + four, cooked(0x86dd) + six})),
              ElementsAre(v4_, v6_));
  EXPECT_THAT(
      lines(pcap(little, 0xa1b2c3d4, 276, {cooked_2(0x0800) + four, cooked_2(0x86dd) + six})),
      ElementsAre(v4_, v6_));
  // The tag of a VLAN stands behind either; the protocol of a netlink socket is none of Ethernet's.
  const Bytes tagged = frame_of("tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN vlan=7");
  EXPECT_THAT(lines(pcap(little, 0xa1b2c3d4, 113, {cooked(0x8100) + ip_of(tagged)})),
              ElementsAre(format_packet(tagged)));
  EXPECT_THAT(lines(pcap(little, 0xa1b2c3d4, 113, {cooked(0x0800, 824) + four})),
              testing::Not(ElementsAre(v4_)));
  const auto sender = in_ethernet(113, {0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0, 8, 0});
  ASSERT_TRUE(sender);
  EXPECT_THAT(std::vector(sender->begin() + 6, sender->end()), ElementsAre(2, 0, 0, 0, 0, 7, 8, 0));
}

TEST_F(PcapFiles, OfSeveralInterfacesAndSections) {
  for (const Order& order : {little, big}) {
    const std::string simple =
        order.block(3, order.words({static_cast<std::uint32_t>(syn_v4().size())}) + text(syn_v4()));
    const std::string old =
        order.block(2, order.halves({1, 0}) +
                           order.words({0, 0, static_cast<std::uint32_t>(ip_of(syn_v6()).size()),
                                        static_cast<std::uint32_t>(ip_of(syn_v6()).size())}) +
                           ip_of(syn_v6()));
    const std::string file = order.section() + order.interface(1) +
                             order.packet(0, text(syn_v4())) + order.block(4, "names") +
                             order.interface(101, 96) + order.packet(1, ip_of(syn_v6())) +
                             order.block(0x40000bad, "custom") + simple + old;
    EXPECT_THAT(lines(file), ElementsAre(v4_, v6_, v4_, v6_));
    const Order& other = order.is_big ? little : big;
    EXPECT_THAT(
        lines(file + other.section() + other.interface(228) + other.packet(0, ip_of(syn_v4()))),
        ElementsAre(v4_, v6_, v4_, v6_, v4_));
  }
}

// What trapctl capture writes where one interface has no link layer.
TEST_F(PcapFiles, OfOurOwn) {
  const Bytes four = syn_v4(), six = syn_v6();
  const std::span<const std::uint8_t> raw = std::span(six).subspan(ethernet_bytes);
  const std::string file =
      pcapng_section("trapctl") + pcapng_interface("eth0", LinkType::ethernet, 256) +
      pcapng_packet({.interface = 0, .bytes = four, .comment = "drop-uninvited"}) +
      pcapng_interface("wg0", LinkType::ip, 256) +
      pcapng_packet({.interface = 1, .bytes = raw, .comment = "pass"});
  EXPECT_THAT(lines(file), ElementsAre(v4_, v6_));
}

TEST_F(PcapFiles, CutOffByTheSnapLengthAreFilledUp) {
  Bytes longer = syn_v4();
  longer.resize(longer.size() + 100);
  for (const std::uint32_t link_type : {1, 101}) {
    const std::string packet = link_type == 1 ? text(longer) : ip_of(longer);
    std::ofstream(path_, std::ios::binary) << pcap(little, 0xa1b2c3d4, link_type, {packet}, 60);
    auto file = PcapFile::open(path_);
    ASSERT_TRUE(file);
    auto frame = file->next();
    ASSERT_TRUE(frame && *frame);
    EXPECT_EQ((*frame)->size(), longer.size());
    EXPECT_EQ(format_packet(**frame), format_packet(longer));
  }
}

TEST_F(PcapFiles, CutOffWithinHeadersAreLeftOut) {
  const std::string four = text(syn_v4()), six = text(syn_v6());
  for (const std::string& packet : {four, six})
    for (std::uint32_t cut_off = 1; cut_off < packet.size(); cut_off++) {
      const std::string cut = pcap(little, 0xa1b2c3d4, 1, {packet}, cut_off);
      const std::string whole = pcap(little, 0xa1b2c3d4, 1, {four});
      const auto said = lines(cut + whole.substr(24));
      ASSERT_EQ(said.size(), 2U) << cut_off;
      constexpr std::uint32_t not_shown = 4; // checksum and urgent pointer
      if (cut_off <= not_shown) {
        EXPECT_THAT(said[0], StartsWith(packet == four ? v4_ : v6_)) << cut_off;
      } else {
        EXPECT_EQ(said[0], v4_) << cut_off;
        EXPECT_THAT(said[1], HasSubstr("1 of 2 packets were cut off within their headers"));
      }
    }
}

TEST_F(PcapFiles, ThatAreNotReadAreRefusedInALine) {
  const std::string one = pcap(little, 0xa1b2c3d4, 1, {text(syn_v4())});
  const std::string ng = little.section() + little.interface(1) + little.packet(0, text(syn_v4()));
  const std::pair<std::string, const char*> refused[] = {
      {"", "it is empty"},
      {"some text that is long enough", "neither pcap nor pcapng: unpack it"},
      {"\x1f\x8b\x08 compressed", "unpack it if it is compressed"},
      {pcap(big, 0xa1b23c4d, 127, {"x"}), "number 127, which is not read: capture at"},
      {little.section() + little.interface(249) + little.packet(0, "x"),
       "of interface 0, whose link layer is number 249"},
      {little.section() + little.packet(0, "x"), "interface 0, which it does not describe"},
      {little.section() + little.interface(1) + little.block(6, "short"), "is too short"},
      {little.section() + little.words({6, 13}), "a block of 13 bytes"},
      {little.section() + little.words({6, 0x7ffffffc}), "a block of 2147483644 bytes"},
      {pcap(little, 0xa1b2c3d4, 1, {}) + little.words({1, 2, 0x7fffffff, 1}),
       "packet 1 has 2147483647 bytes"}};
  for (const auto& [file, reason] : refused) {
    const auto said = lines(file);
    ASSERT_EQ(said.size(), 1U) << reason;
    EXPECT_THAT(said[0], StartsWith("capture file " + path_ + ": "));
    EXPECT_THAT(said[0], HasSubstr(reason));
  }
  for (const std::string& file : {one, ng}) // cut off anywhere: what is whole, and then one line
    for (std::size_t bytes = 1; bytes < file.size(); bytes++)
      for (const std::string& line : lines(file.substr(0, bytes)))
        EXPECT_THAT(line, StartsWith("capture file " + path_ + ": ")) << bytes;
}

} // namespace
} // namespace trap::ctl
