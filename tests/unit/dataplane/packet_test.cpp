// SPDX-License-Identifier: Apache-2.0
// The packet view over built frames: both families, VLAN and QinQ, IPv4 options, extension headers,
// fragments, and every truncation.
#include "dataplane/packet.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/packet.h"

namespace trap::test {
namespace {

class PacketView : public testing::Test {
protected:
  // Reads a frame in memory that ends exactly where the frame does, and whose headers behind
  // Ethernet are aligned (NET_IP_ALIGN).
  trap_layer read(const Bytes& frame) {
    packet_ = {};
    const auto memory = std::make_unique<std::uint8_t[]>(frame.size() + 2);
    std::uint8_t* const copy = memory.get() + 2;
    std::copy(frame.begin(), frame.end(), copy);
    return trap_read_frame(&packet_, copy, copy + frame.size());
  }
  trap_layer read(const Json& description, int family) {
    return read(build_packet(description, family, constants_));
  }
  void expect_ordinary(int family) {
    const Address client = constants_.address("client", family);
    const Address service = constants_.address("public", family);
    EXPECT_TRUE(trap_address_equal(&packet_.source, &client.value));
    EXPECT_TRUE(trap_address_equal(&packet_.destination, &service.value));
    EXPECT_EQ(packet_.family, family);
    EXPECT_EQ(packet_.source_port, TRAP_BE16(40000));
    EXPECT_EQ(packet_.destination_port, TRAP_BE16(80));
    EXPECT_EQ(packet_.seq, TRAP_BE32(0x11223344));
    EXPECT_EQ(packet_.ack, TRAP_BE32(0x55667788));
    EXPECT_EQ(packet_.window, TRAP_BE16(64240));
    EXPECT_TRUE(packet_.has_ports);
  }

  const TestConstants constants_;
  const Json tcp_ = {{"seq", 0x11223344}, {"ack", 0x55667788}, {"flags", "PA"}};
  trap_packet packet_ = {};
};

TEST_F(PacketView, reads_every_field_in_both_families_with_and_without_tags) {
  for (const int family : {4, 6}) {
    for (const int tags : {0, 1, 2}) {
      ASSERT_EQ(read({{"vlan", tags}, {"tcp", tcp_}, {"payload", 7}}, family), TRAP_LAYER_TCP);
      expect_ordinary(family);
      EXPECT_EQ(packet_.flags, TRAP_TCP_PSH | TRAP_TCP_ACK);
      EXPECT_EQ(packet_.header_bytes, 20);
      EXPECT_EQ(packet_.l3_offset, 14 + 4 * tags);
      EXPECT_EQ(packet_.l4_offset, 14 + 4 * tags + (family == 4 ? 20 : 40));
      EXPECT_EQ(trap_payload_bytes(&packet_), 7u);
    }
  }
}

TEST_F(PacketView, does_not_see_what_is_behind_a_third_tag) {
  for (const int family : {4, 6}) {
    for (const int tags : {3, 4, 8}) {
      ASSERT_EQ(read({{"vlan", tags}, {"tcp", tcp_}}, family), TRAP_LAYER_DEFECTIVE);
      EXPECT_EQ(packet_.defect, TRAP_DROP_VLAN_TAGS);
      EXPECT_FALSE(packet_.has_ports);
      EXPECT_EQ(packet_.family, 0);
    }
  }
}

TEST_F(PacketView, follows_ipv4_options_of_every_length) {
  for (std::size_t words = 0; words <= 10; words++) {
    ASSERT_EQ(read({{"ip", {{"options", to_hex(Bytes(4 * words, 1))}}}, {"tcp", tcp_}}, 4),
              TRAP_LAYER_TCP)
        << words;
    expect_ordinary(4);
    EXPECT_EQ(packet_.l4_offset, 34 + 4 * words);
  }
}

TEST_F(PacketView, follows_up_to_four_extension_headers) {
  for (const int type : {0, 43, 60, 51}) {
    Json extensions = Json::array();
    for (int count = 0; count <= 5; count++) {
      const trap_layer layer = read({{"ip", {{"extensions", extensions}}}, {"tcp", tcp_}}, 6);
      if (count <= 4) {
        ASSERT_EQ(layer, TRAP_LAYER_TCP) << type << " " << count;
        expect_ordinary(6);
      } else {
        ASSERT_EQ(layer, TRAP_LAYER_DEFECTIVE);
        EXPECT_EQ(packet_.defect, TRAP_DROP_EXTENSION_HEADERS);
      }
      extensions.push_back({{"type", type}});
    }
  }
}

TEST_F(PacketView, does_not_count_ethernet_padding_as_payload) {
  for (const int family : {4, 6}) {
    ASSERT_EQ(read({{"tcp", tcp_}, {"pad_to", 90}}, family), TRAP_LAYER_TCP);
    EXPECT_EQ(trap_payload_bytes(&packet_), 0u);
  }
}

TEST_F(PacketView, never_takes_a_fragment_for_a_segment) {
  for (const std::uint64_t offset : {0, 8, 0xfff8}) {
    const bool first = offset == 0;
    ASSERT_EQ(read({{"ip", {{"df", 0}, {"more_fragments", 1}, {"fragment_offset", offset}}},
                    {"tcp", tcp_}},
                   4),
              TRAP_LAYER_DEFECTIVE);
    EXPECT_EQ(packet_.defect, TRAP_DROP_FRAGMENT);
    EXPECT_EQ(packet_.has_ports, first);
    const Json fragment = {{"type", 44}, {"offset", offset}, {"more", 1}};
    ASSERT_EQ(read({{"ip", {{"extensions", Json::array({fragment})}}}, {"tcp", tcp_}}, 6),
              TRAP_LAYER_DEFECTIVE);
    EXPECT_EQ(packet_.defect, TRAP_DROP_FRAGMENT);
    EXPECT_EQ(packet_.has_ports, first);
  }
}

TEST_F(PacketView, refuses_every_impossible_data_offset) {
  for (const int family : {4, 6}) {
    for (int words = 0; words < 16; words++) {
      Json tcp = tcp_;
      tcp["data_offset"] = words;
      const trap_layer layer = read({{"tcp", tcp}, {"payload", 4}}, family);
      EXPECT_EQ(layer, words == 5 || words == 6 ? TRAP_LAYER_TCP : TRAP_LAYER_DEFECTIVE) << words;
      if (layer == TRAP_LAYER_DEFECTIVE)
        EXPECT_EQ(packet_.defect, TRAP_DROP_BAD_DATA_OFFSET) << words;
    }
  }
}

TEST_F(PacketView, refuses_impossible_ip_headers) {
  for (const Json& ip : {Json{{"version", 5}}, Json{{"ihl", 4}}, Json{{"ihl", 0}},
                         Json{{"total_length", 19}}, Json{{"total_length", 0}}}) {
    ASSERT_EQ(read({{"ip", ip}, {"tcp", tcp_}}, 4), TRAP_LAYER_DEFECTIVE) << ip;
    EXPECT_EQ(packet_.defect, TRAP_DROP_BAD_IP_HEADER) << ip;
  }
  ASSERT_EQ(read({{"ip", {{"version", 4}}}, {"tcp", tcp_}}, 6), TRAP_LAYER_DEFECTIVE);
  EXPECT_EQ(packet_.defect, TRAP_DROP_BAD_IP_HEADER);
}

TEST_F(PacketView, refuses_ipv4_mapped_addresses_but_shows_the_ports) {
  const std::string mapped = "::ffff:192.0.2.2";
  const Json extensions = {{{"type", 0}}, {{"type", 60}}};
  for (const char* end : {"src", "dst"}) {
    for (const Json& headers : {Json::array(), extensions}) {
      const Json ip = {{end, mapped}, {"extensions", headers}};
      ASSERT_EQ(read({{"ip", ip}, {"tcp", tcp_}}, 6), TRAP_LAYER_DEFECTIVE) << ip;
      EXPECT_EQ(packet_.defect, TRAP_DROP_MAPPED_ADDRESS) << ip;
      EXPECT_TRUE(packet_.has_ports) << ip;
      EXPECT_EQ(packet_.destination_port, TRAP_BE16(80)) << ip;
    }
  }
  for (const char* address : {"::fffe:192.0.2.2", "::1:192.0.2.2", "::ffff:0:192.0.2.2"})
    EXPECT_EQ(read({{"ip", {{"src", address}}}, {"tcp", tcp_}}, 6), TRAP_LAYER_TCP) << address;
}

TEST_F(PacketView, never_takes_a_truncated_frame_for_a_segment) {
  for (const int family : {4, 6}) {
    for (const int tags : {0, 1, 2}) {
      const Json description = {{"vlan", tags}, {"tcp", {{"options", {{{"linux", 1}}}}}}};
      const Bytes frame = build_packet(description, family, constants_);
      const std::size_t addresses_end =
          14 + 4 * static_cast<std::size_t>(tags) + (family == 4 ? 20 : 40);
      for (std::size_t size = 0; size < frame.size(); size++) {
        const trap_layer layer =
            read(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)));
        ASSERT_EQ(layer, size < addresses_end ? TRAP_LAYER_OTHER : TRAP_LAYER_DEFECTIVE) << size;
        if (layer == TRAP_LAYER_DEFECTIVE) {
          EXPECT_EQ(packet_.defect, TRAP_DROP_TRUNCATED) << size;
          EXPECT_EQ(packet_.has_ports, size >= addresses_end + 4);
        }
      }
      EXPECT_EQ(read(frame), TRAP_LAYER_TCP);
    }
  }
}

TEST_F(PacketView, leaves_other_protocols_alone) {
  for (const int family : {4, 6}) {
    EXPECT_EQ(read({{"udp", Json::object()}, {"ip", {{"protocol", 17}}}}, family),
              TRAP_LAYER_OTHER);
    EXPECT_EQ(read({{"ip", {{"protocol", family == 4 ? 1 : 58}}}, {"payload", 64}}, family),
              TRAP_LAYER_OTHER);
    EXPECT_EQ(read({{"eth", {{"type", 0x0806}}}, {"payload", 64}}, family), TRAP_LAYER_OTHER);
  }
}

} // namespace
} // namespace trap::test
