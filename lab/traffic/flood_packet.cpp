// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/flood_packet.h"

#include <algorithm>

#include "runtime/packet/tcp_options.h"

namespace trap::lab {
namespace {

constexpr std::size_t ethernet_bytes = 14;
constexpr std::uint16_t mss = 1460;

// Offsets from the start of an IP packet of one family.
struct Layout {
  std::size_t source, tcp;
};

constexpr Layout layout_of(trap_family family) {
  return family == TRAP_IPV4 ? Layout{12, 20} : Layout{8, 40};
}

void put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

std::uint8_t flags_of(FloodKind kind) {
  switch (kind) {
  case FloodKind::syn:
    return tcp_syn;
  case FloodKind::ack:
    return tcp_ack;
  case FloodKind::rst:
    return tcp_rst | tcp_ack;
  case FloodKind::fin:
    return tcp_fin | tcp_ack;
  }
  return 0;
}

// 198.18.0.0/15 (RFC 2544), 240.0.0.0/4 (RFC 1112) or 2001:db8:f100::/40 (RFC 3849): nobody's
// addresses.
void scatter_source(const FloodTarget& target, std::uint64_t random, std::uint8_t* source) {
  if (family_of(target.target.address) == TRAP_IPV4) {
    const auto low = static_cast<std::uint32_t>(random);
    put32(source, target.many_sources ? 0xf0000000u | low >> 4 : 0xc6120000u | (low & 0x1ffffu));
    return;
  }
  put32(source, 0x20010db8u);
  put32(source + 4, 0xf1000000u | (static_cast<std::uint32_t>(random >> 32) & 0xffffffu));
  put32(source + 8, 0);
  put32(source + 12, static_cast<std::uint32_t>(random));
}

} // namespace

std::uint64_t Scatter::next() {
  state_ ^= state_ >> 12;
  state_ ^= state_ << 25;
  state_ ^= state_ >> 27;
  return state_ * 0x2545f4914f6cdd1dULL;
}

// A SYN has an MSS option, as a real one would. The source is filled in by scatter_flood_frame.
std::size_t prepare_flood_frame(const FloodTarget& target,
                                std::span<std::uint8_t, flood_frame_max> frame) {
  Segment segment = {.from = {.address = target.target.address},
                     .to = target.target,
                     .flags = flags_of(target.kind)};
  if (target.kind == FloodKind::syn)
    segment.options = TcpOptions().mss(mss).bytes();
  const Bytes built =
      build_frame({.destination = target.gateway_mac, .source = target.source_mac}, segment);
  std::ranges::copy(built, frame.begin());
  return built.size();
}

void scatter_flood_frame(const FloodTarget& target, Scatter& scatter,
                         std::span<std::uint8_t> frame) {
  const Layout layout = layout_of(family_of(target.target.address));
  const std::uint64_t numbers = scatter.next(), others = scatter.next();
  const std::span<std::uint8_t> packet = frame.subspan(ethernet_bytes);
  std::uint8_t* tcp = &packet[layout.tcp];

  scatter_source(target, others, &packet[layout.source]);
  put16(tcp, 1024 + static_cast<std::uint32_t>((others >> 40) % 64000));
  put32(tcp + 4, static_cast<std::uint32_t>(numbers));
  put32(tcp + 8, target.kind == FloodKind::syn ? 0 : static_cast<std::uint32_t>(numbers >> 32));
  renew_checksums(packet);
}

} // namespace trap::lab
