// SPDX-License-Identifier: Apache-2.0
#include "ctl/explain/link_layer.h"

#include <algorithm>
#include <linux/if_ether.h>
#include <span>

namespace trap::ctl {
namespace {

// LINKTYPE_ values. BSD's capture files have two more for raw IP.
constexpr std::uint16_t null_bsd = 0, ethernet = 1, raw_bsd = 12, raw_openbsd = 14, raw = 101,
                        loop_openbsd = 108, linux_cooked = 113, ipv4 = 228, ipv6 = 229,
                        linux_cooked_2 = 276;

constexpr std::uint16_t no_protocol = 0;
constexpr MacAddress some_sender = {0x02, 0, 0, 0, 0, 0x01}; // locally administered

std::uint32_t number_at(const Bytes& bytes, std::size_t at, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; i++)
    number = number << 8 | bytes[at + i];
  return number;
}

Frame frame_of(std::uint16_t protocol, std::span<const std::uint8_t> packet,
               std::span<const std::uint8_t> sender = some_sender) {
  Frame frame(described_destination.begin(), described_destination.end());
  frame.insert(frame.end(), sender.begin(), sender.end());
  frame.push_back(static_cast<std::uint8_t>(protocol >> 8));
  frame.push_back(static_cast<std::uint8_t>(protocol));
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

Frame from_ip(std::span<const std::uint8_t> packet) {
  const int version = packet.empty() ? 0 : packet[0] >> 4;
  return frame_of(version == 4 ? ETH_P_IP : version == 6 ? ETH_P_IPV6 : no_protocol, packet);
}

// The family is in the byte order of the host that wrote it, in LOOP's in the network's.
Frame from_family(const Bytes& packet) {
  constexpr std::size_t header_bytes = 4;
  if (packet.size() < header_bytes)
    return frame_of(no_protocol, {});
  std::uint32_t family = number_at(packet, 0, header_bytes);
  if (family > 0xffff)
    family = __builtin_bswap32(family);
  constexpr std::uint32_t inet = 2;
  constexpr std::uint32_t inet6[] = {10, 24, 28, 30}; // Linux, NetBSD and OpenBSD, FreeBSD, macOS
  const bool is_v6 = std::ranges::find(inet6, family) != std::end(inet6);
  return frame_of(family == inet ? ETH_P_IP
                  : is_v6        ? ETH_P_IPV6
                                 : no_protocol,
                  std::span(packet).subspan(header_bytes));
}

// Where a field is in the header of Linux's "cooked" captures, as those of the interface "any".
struct Cooked {
  std::size_t bytes, protocol, hardware, address_bytes, address_bytes_size, address;
};
constexpr Cooked cooked = {16, 14, 2, 4, 2, 6}, cooked_2 = {20, 0, 8, 11, 1, 12};

Frame from_cooked(const Bytes& packet, const Cooked& header) {
  if (packet.size() < header.bytes)
    return frame_of(no_protocol, {});
  // Of these interfaces the protocol is another number than one of Ethernet.
  constexpr std::uint32_t netlink = 824, radiotap = 803, frame_relay = 770; // ARPHRD_ values
  constexpr std::uint32_t others[] = {netlink, radiotap, frame_relay};
  const bool is_other =
      std::ranges::find(others, number_at(packet, header.hardware, 2)) != std::end(others);
  const std::uint32_t protocol = is_other ? no_protocol : number_at(packet, header.protocol, 2);
  const bool has_mac =
      number_at(packet, header.address_bytes, header.address_bytes_size) == some_sender.size();
  const auto sender = has_mac ? std::span(packet).subspan(header.address, some_sender.size())
                              : std::span<const std::uint8_t>(some_sender);
  return frame_of(static_cast<std::uint16_t>(protocol), std::span(packet).subspan(header.bytes),
                  sender);
}

} // namespace

std::optional<Frame> in_ethernet(std::uint16_t link_type, const Bytes& packet) {
  switch (link_type) {
  case ethernet:
    return packet;
  case raw:
  case raw_bsd:
  case raw_openbsd:
  case ipv4:
  case ipv6:
    return from_ip(packet);
  case null_bsd:
  case loop_openbsd:
    return from_family(packet);
  case linux_cooked:
    return from_cooked(packet, cooked);
  case linux_cooked_2:
    return from_cooked(packet, cooked_2);
  default:
    return std::nullopt;
  }
}

} // namespace trap::ctl
