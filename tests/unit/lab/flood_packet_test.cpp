// SPDX-License-Identifier: Apache-2.0
// Frames of the lab's flood: every one differs from the last, comes from a prefix that no host has,
// and has checksums that libtins finds right.
#include "lab/traffic/flood_packet.h"

#include <gtest/gtest.h>
#include <tins/tins.h>

#include <array>
#include <set>

#include "tests/support/packet.h"

namespace trap::lab {
namespace {

constexpr int frames_of_each_kind = 2000;

FloodTarget target_of(const char* endpoint, FloodKind kind, bool many_sources) {
  return {.source_mac = {2, 0, 0, 0, 1, 1},
          .gateway_mac = {2, 0, 0, 0, 1, 2},
          .target = *parse_endpoint(endpoint),
          .kind = kind,
          .many_sources = many_sources};
}

// The source of a frame that is found right.
template <typename Ip>
std::string source_of(const FloodTarget& target, std::span<const std::uint8_t> frame) {
  const Bytes packet(frame.begin() + 14, frame.end());
  Ip parsed(packet.data(), static_cast<std::uint32_t>(packet.size()));
  const auto& tcp = parsed.template rfind_pdu<Tins::TCP>();
  EXPECT_EQ(parsed.dst_addr().to_string(), format_address(target.target.address));
  EXPECT_EQ(tcp.dport(), target.target.port);
  EXPECT_GE(tcp.sport(), 1024);
  EXPECT_EQ(test::difference(packet, parsed.serialize()), ""); // with checksums computed anew
  return parsed.src_addr().to_string();
}

template <typename Ip>
void expect_flood(const FloodTarget& target, const char* prefix, std::size_t least_sources) {
  std::array<std::uint8_t, flood_frame_max> memory{};
  const auto frame = std::span{memory}.first(prepare_flood_frame(target, memory));
  Scatter scatter{7};
  std::set<std::string> sources;
  for (int i = 0; i < frames_of_each_kind; i++) {
    scatter_flood_frame(target, scatter, frame);
    sources.insert(source_of<Ip>(target, frame));
  }
  EXPECT_GE(sources.size(), least_sources);
  for (const std::string& source : sources)
    ASSERT_TRUE(source.starts_with(prefix)) << source;
}

TEST(FloodPacket, is_right_whatever_its_kind_and_family) {
  for (const FloodKind kind : {FloodKind::syn, FloodKind::ack, FloodKind::rst, FloodKind::fin}) {
    expect_flood<Tins::IP>(target_of("203.0.113.10:80", kind, false), "198.1", 1900);
    expect_flood<Tins::IP>(target_of("203.0.113.10:80", kind, true), "2", 1990); // 240.0.0.0/4
    expect_flood<Tins::IPv6>(target_of("[2001:db8:113::10]:443", kind, false), "2001:db8:f1", 1990);
  }
}

} // namespace
} // namespace trap::lab
