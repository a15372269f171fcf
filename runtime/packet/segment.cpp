// SPDX-License-Identifier: Apache-2.0
#include "runtime/packet/segment.h"

#include <algorithm>
#include <cstring>

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "dataplane/checksum.h"
#include "protocol/wire.h"
#include "runtime/packet/byte_writer.h"

namespace trap {
namespace {

constexpr std::size_t ipv4_bytes = 20, ipv6_bytes = 40; // without options and extension headers
constexpr std::size_t ipv4_checksum_at = 10, tcp_checksum_at = 16, udp_checksum_at = 6,
                      icmp_checksum_at = 2;

// Over `header`, whose field is still 0, and what `pseudo_sum` counts.
void put_checksum(std::span<std::uint8_t> header, std::size_t at, std::uint64_t pseudo_sum,
                  std::uint16_t damage) {
  const __be16 checksum =
      trap_sum_fold(pseudo_sum + trap_sum_bytes(header.data(), static_cast<__u32>(header.size()))) ^
      TRAP_BE16(damage);
  std::memcpy(header.data() + at, &checksum, sizeof(checksum));
}

void clear_checksum(std::span<std::uint8_t> header, std::size_t at) {
  header[at] = header[at + 1] = 0;
}

std::uint64_t pseudo_sum(const trap_address& from, const trap_address& to, std::uint8_t protocol,
                         std::span<const std::uint8_t> transport) {
  return trap_sum_pseudo_header(&from, &to, family_of(from), protocol,
                                static_cast<__u32>(transport.size()));
}

void put_ipv4_header(ByteWriter& packet, const trap_address& from, const trap_address& to,
                     std::uint8_t protocol, const IpFields& ip, std::size_t payload_bytes) {
  const std::size_t header_bytes = ipv4_bytes + ip.options.size();
  ByteWriter header;
  header.number(0x40 | header_bytes / 4, 1);
  header.number(0, 1);
  header.number(header_bytes + payload_bytes, 2);
  header.number(ip.identification, 2);
  header.number(ip.fragment, 2);
  header.number(ip.hop_limit, 1);
  header.number(protocol, 1);
  header.number(0, 2);
  header.address(from);
  header.address(to);
  header.append(ip.options);
  put_checksum(header.out, ipv4_checksum_at, 0, ip.checksum_damage);
  packet.append(header.out);
}

void put_ipv6_headers(ByteWriter& packet, const trap_address& from, const trap_address& to,
                      std::uint8_t protocol, const IpFields& ip, std::size_t payload_bytes) {
  ByteWriter extensions;
  for (std::size_t i = 0; i < ip.extensions.size(); i++) {
    const std::size_t at = extensions.out.size();
    extensions.append(ip.extensions[i].bytes);
    extensions.out[at] = i + 1 < ip.extensions.size() ? ip.extensions[i + 1].type : protocol;
  }
  packet.number(0x60000000, 4);
  packet.number(extensions.out.size() + payload_bytes, 2);
  packet.number(ip.extensions.empty() ? protocol : ip.extensions.front().type, 1);
  packet.number(ip.hop_limit, 1);
  packet.address(from);
  packet.address(to);
  packet.append(extensions.out);
}

Bytes ip_packet(const trap_address& from, const trap_address& to, std::uint8_t protocol,
                const IpFields& ip, std::span<const std::uint8_t> payload) {
  ByteWriter packet;
  if (family_of(from) == TRAP_IPV4)
    put_ipv4_header(packet, from, to, protocol, ip, payload.size());
  else
    put_ipv6_headers(packet, from, to, protocol, ip, payload.size());
  packet.append(payload);
  return packet.out;
}

template <typename Description>
Bytes frame_of(const Ethernet& ethernet, trap_family family, const Description& description) {
  ByteWriter frame;
  frame.append(ethernet.destination);
  frame.append(ethernet.source);
  for (const VlanTag& tag : ethernet.tags) {
    frame.number(tag.type, 2);
    frame.number(tag.id, 2);
  }
  frame.number(family == TRAP_IPV4 ? ETH_P_IP : ETH_P_IPV6, 2);
  frame.append(build_packet(description));
  return frame.out;
}

std::uint8_t icmp_protocol(trap_family family) {
  return family == TRAP_IPV4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
}

} // namespace

Bytes build_transport(const Segment& segment) {
  const std::size_t options_bytes = (segment.options.size() + 3) / 4 * 4;
  const std::size_t words = (TRAP_TCP_HEADER_BYTES + options_bytes) / 4;
  ByteWriter tcp;
  tcp.number(segment.from.port, 2);
  tcp.number(segment.to.port, 2);
  tcp.number(segment.seq, 4);
  tcp.number(segment.ack, 4);
  tcp.number(segment.data_offset.value_or(static_cast<std::uint8_t>(words)) << 4, 1);
  tcp.number(segment.flags, 1);
  tcp.number(segment.window, 2);
  tcp.number(0, 4); // checksum and urgent pointer
  tcp.append(segment.options);
  tcp.out.resize(TRAP_TCP_HEADER_BYTES + options_bytes);
  tcp.append(segment.payload);
  put_checksum(tcp.out, tcp_checksum_at,
               pseudo_sum(segment.from.address, segment.to.address, IPPROTO_TCP, tcp.out),
               segment.checksum_damage);
  return tcp.out;
}

Bytes build_transport(const Datagram& datagram) {
  ByteWriter udp;
  udp.number(datagram.from.port, 2);
  udp.number(datagram.to.port, 2);
  udp.number(8 + datagram.payload.size(), 2);
  udp.number(0, 2);
  udp.append(datagram.payload);
  put_checksum(udp.out, udp_checksum_at,
               pseudo_sum(datagram.from.address, datagram.to.address, IPPROTO_UDP, udp.out),
               datagram.checksum_damage);
  return udp.out;
}

Bytes build_transport(const IcmpMessage& message) {
  const trap_family family = family_of(message.from);
  ByteWriter icmp;
  icmp.number(message.type, 1);
  icmp.number(message.code, 1);
  icmp.number(0, 2);
  icmp.append(message.body);
  put_checksum(icmp.out, icmp_checksum_at,
               family == TRAP_IPV4
                   ? 0
                   : pseudo_sum(message.from, message.to, icmp_protocol(family), icmp.out),
               0);
  return icmp.out;
}

Bytes build_packet(const Segment& segment) {
  const Bytes tcp = build_transport(segment);
  const std::size_t from = std::min(segment.part_from, tcp.size());
  const std::size_t bytes = std::min(segment.part_bytes, tcp.size() - from);
  Bytes packet = ip_packet(segment.from.address, segment.to.address, IPPROTO_TCP, segment.ip,
                           std::span(tcp).subspan(from, bytes));
  packet.resize(packet.size() - std::min(segment.cut_bytes, packet.size()));
  return packet;
}

Bytes build_packet(const Datagram& datagram) {
  return ip_packet(datagram.from.address, datagram.to.address, IPPROTO_UDP, datagram.ip,
                   build_transport(datagram));
}

Bytes build_packet(const IcmpMessage& message) {
  return ip_packet(message.from, message.to, icmp_protocol(family_of(message.from)), message.ip,
                   build_transport(message));
}

Bytes build_frame(const Ethernet& ethernet, const Segment& segment) {
  return frame_of(ethernet, family_of(segment.from.address), segment);
}

Bytes build_frame(const Ethernet& ethernet, const Datagram& datagram) {
  return frame_of(ethernet, family_of(datagram.from.address), datagram);
}

Bytes build_frame(const Ethernet& ethernet, const IcmpMessage& message) {
  return frame_of(ethernet, family_of(message.from), message);
}

IcmpMessage icmp_error(const trap_address& reporter, std::uint8_t type, std::uint8_t code,
                       std::uint32_t rest, const Segment& about) {
  ByteWriter body;
  body.number(rest, 4);
  body.append(build_packet(about));
  return {.from = reporter,
          .to = about.from.address,
          .type = type,
          .code = code,
          .body = std::move(body.out)};
}

void renew_checksums(std::span<std::uint8_t> packet) {
  const bool is_ipv4 = packet[0] >> 4 == 4;
  const auto header = packet.first(is_ipv4 ? ipv4_bytes : ipv6_bytes);
  const auto tcp = packet.subspan(header.size());
  trap_address from, to;
  if (is_ipv4) {
    __be32 addresses[2];
    std::memcpy(addresses, &header[12], sizeof(addresses));
    from = trap_address_v4(addresses[0]);
    to = trap_address_v4(addresses[1]);
    clear_checksum(header, ipv4_checksum_at);
    put_checksum(header, ipv4_checksum_at, 0, 0);
  } else {
    std::memcpy(from.bytes, &header[8], sizeof(from.bytes));
    std::memcpy(to.bytes, &header[24], sizeof(to.bytes));
  }
  clear_checksum(tcp, tcp_checksum_at);
  put_checksum(tcp, tcp_checksum_at, pseudo_sum(from, to, IPPROTO_TCP, tcp), 0);
}

} // namespace trap
