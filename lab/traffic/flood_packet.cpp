// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/flood_packet.h"

#include <algorithm>
#include <cstring>

namespace trap::lab {
namespace {

constexpr std::size_t ethernet_bytes = 14;
constexpr std::uint8_t flag_fin = 0x01, flag_syn = 0x02, flag_rst = 0x04, flag_ack = 0x10;

// The layout of one family's frame, as offsets from its start.
struct Layout {
  std::size_t source, addresses_bytes, tcp;
};

constexpr Layout layout_of(int family) {
  return family == 4 ? Layout{ethernet_bytes + 12, 8, ethernet_bytes + 20}
                     : Layout{ethernet_bytes + 8, 32, ethernet_bytes + 40};
}

void put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

std::uint32_t sum16(const std::uint8_t* at, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes; i += 2)
    sum += static_cast<std::uint32_t>(at[i] << 8 | at[i + 1]);
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint8_t flags_of(FloodKind kind) {
  switch (kind) {
  case FloodKind::syn:
    return flag_syn;
  case FloodKind::ack:
    return flag_ack;
  case FloodKind::rst:
    return flag_rst | flag_ack;
  case FloodKind::fin:
    return flag_fin | flag_ack;
  }
  return 0;
}

std::size_t tcp_bytes_of(FloodKind kind) {
  return kind == FloodKind::syn ? 24 : 20; // a SYN has an MSS option, as a real one would
}

void prepare_ipv4(const FloodTarget& target, std::size_t tcp_bytes, std::uint8_t* ip) {
  ip[0] = 0x45;
  put16(ip + 2, static_cast<std::uint32_t>(20 + tcp_bytes));
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = IPPROTO_TCP;
  std::memcpy(ip + 16, &target.target, 4);
}

void prepare_ipv6(const FloodTarget& target, std::size_t tcp_bytes, std::uint8_t* ip) {
  ip[0] = 0x60;
  put16(ip + 4, static_cast<std::uint32_t>(tcp_bytes));
  ip[6] = IPPROTO_TCP;
  ip[7] = 64;
  std::memcpy(ip + 24, &target.target, 16);
}

// 198.18.0.0/15 (RFC 2544), 240.0.0.0/4 (RFC 1112) or 2001:db8:f100::/40 (RFC 3849): nobody's
// addresses.
void scatter_source(const FloodTarget& target, std::uint64_t random, std::uint8_t* source) {
  if (target.family == 4) {
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

std::size_t prepare_flood_frame(const FloodTarget& target,
                                std::span<std::uint8_t, flood_frame_max> frame) {
  const std::size_t tcp_bytes = tcp_bytes_of(target.kind);
  std::ranges::fill(frame, std::uint8_t{0});
  std::ranges::copy(target.gateway_mac, frame.begin());
  std::ranges::copy(target.source_mac, frame.begin() + 6);
  put16(frame.data() + 12, target.family == 4 ? 0x0800 : 0x86dd);
  if (target.family == 4)
    prepare_ipv4(target, tcp_bytes, frame.data() + ethernet_bytes);
  else
    prepare_ipv6(target, tcp_bytes, frame.data() + ethernet_bytes);

  const std::size_t tcp_at = layout_of(target.family).tcp;
  std::uint8_t* tcp = frame.data() + tcp_at;
  put16(tcp + 2, target.port);
  tcp[12] = static_cast<std::uint8_t>(tcp_bytes / 4 << 4);
  tcp[13] = flags_of(target.kind);
  put16(tcp + 14, 64240);
  if (tcp_bytes > 20)
    put32(tcp + 20, 0x020405b4); // MSS 1460
  return tcp_at + tcp_bytes;
}

void scatter_flood_frame(const FloodTarget& target, Scatter& scatter,
                         std::span<std::uint8_t> frame) {
  const Layout layout = layout_of(target.family);
  const std::uint64_t numbers = scatter.next(), others = scatter.next();
  std::uint8_t* tcp = frame.data() + layout.tcp;
  const std::size_t tcp_bytes = frame.size() - layout.tcp;

  scatter_source(target, others, frame.data() + layout.source);
  put16(tcp, 1024 + static_cast<std::uint32_t>((others >> 40) % 64000));
  put32(tcp + 4, static_cast<std::uint32_t>(numbers));
  put32(tcp + 8, target.kind == FloodKind::syn ? 0 : static_cast<std::uint32_t>(numbers >> 32));
  put16(tcp + 16, 0);
  const std::uint32_t pseudo = sum16(frame.data() + layout.source, layout.addresses_bytes) +
                               IPPROTO_TCP + static_cast<std::uint32_t>(tcp_bytes);
  put16(tcp + 16, fold(pseudo + sum16(tcp, tcp_bytes)));
  if (target.family == 4) {
    std::uint8_t* ip = frame.data() + ethernet_bytes;
    put16(ip + 10, 0);
    put16(ip + 10, fold(sum16(ip, 20)));
  }
}

} // namespace trap::lab
