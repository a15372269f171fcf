// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/announcement.h"

#include <cstring>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include "protocol/ticket.h"
#include "protocol/wire.h"

namespace trap::server {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kHops = 64;
constexpr std::uint8_t kNop = 1;

void append(Bytes& out, const void* bytes, std::size_t count) {
  const auto* first = static_cast<const std::uint8_t*>(bytes);
  out.insert(out.end(), first, first + count);
}

// The bytes of an address as they are in a packet: 4 or 16.
void append_address(Bytes& out, const trap_address& address) {
  bool v4 = trap_address_is_v4(&address);
  append(out, v4 ? address.bytes + 12 : address.bytes, v4 ? 4 : 16);
}

// RFC 1071, over an even or odd number of bytes in network byte order.
std::uint32_t add_words(const Bytes& bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i < bytes.size(); i++)
    sum += i % 2 ? bytes[i] : static_cast<std::uint32_t>(bytes[i]) << 8;
  return sum;
}

__be16 fold(std::uint32_t sum) {
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return TRAP_BE16(~sum);
}

Bytes build_option(const Announcement& a, const trap_key& key, bool experimental_kind) {
  trap_family family = family_of(a.client);
  trap_grant grant = {a.client, TRAP_BE16(a.backend.port), static_cast<__u8>(family), a.scope};
  trap_announce_body body = {};
  body.lifetime_s = TRAP_BE16(a.lifetime_s);
  body.scope = a.scope;
  body.tag = a.tag;
  body.issued_s = TRAP_BE32(a.issued_s);
  trap_put_mac(body.mac, trap_announce_mac(&key, &body, &grant));

  std::uint8_t header[TRAP_HEADER_BYTES_EXPERIMENTAL];
  std::uint32_t body_bytes = trap_body_bytes(TRAP_ANNOUNCE, family == TRAP_IPV4 ? 4 : 16);
  std::uint32_t header_bytes =
      trap_put_header(header, TRAP_ANNOUNCE, body_bytes, experimental_kind);
  Bytes option((4 - (header_bytes + body_bytes) % 4) % 4, kNop);
  append(option, header, header_bytes);
  append(option, &body, sizeof(body));
  append_address(option, a.client);
  return option;
}

Bytes build_segment(const Announcement& a, const Bytes& option) {
  tcphdr tcp = {};
  tcp.source = TRAP_BE16(a.backend.port);
  tcp.dest = TRAP_BE16(a.backend.port);
  tcp.doff = static_cast<__u16>((sizeof(tcp) + option.size()) / 4) & 0xf;
  tcp.rst = 1;

  Bytes pseudo;
  append_address(pseudo, a.source);
  append_address(pseudo, a.backend.address);
  std::uint32_t sum =
      add_words(pseudo, IPPROTO_TCP + static_cast<std::uint32_t>(sizeof(tcp) + option.size()));
  Bytes segment;
  append(segment, &tcp, sizeof(tcp));
  append(segment, option.data(), option.size());
  tcp.check = fold(add_words(segment, sum));
  std::memcpy(segment.data(), &tcp, sizeof(tcp));
  return segment;
}

Bytes ipv4_header(const Announcement& a, std::size_t segment_bytes) {
  iphdr ip = {};
  ip.version = 4;
  ip.ihl = sizeof(ip) / 4;
  ip.tot_len = TRAP_BE16(sizeof(ip) + segment_bytes);
  ip.frag_off = TRAP_BE16(IP_DF);
  ip.ttl = kHops;
  ip.protocol = IPPROTO_TCP;
  ip.saddr = a.source.be32[3];
  ip.daddr = a.backend.address.be32[3];
  Bytes header;
  append(header, &ip, sizeof(ip));
  ip.check = fold(add_words(header, 0));
  std::memcpy(header.data(), &ip, sizeof(ip));
  return header;
}

Bytes ipv6_header(const Announcement& a, std::size_t segment_bytes) {
  ip6_hdr ip = {};
  ip.ip6_flow = TRAP_BE32(0x60000000);
  ip.ip6_plen = TRAP_BE16(segment_bytes);
  ip.ip6_nxt = IPPROTO_TCP;
  ip.ip6_hops = kHops;
  std::memcpy(&ip.ip6_src, a.source.bytes, sizeof(ip.ip6_src));
  std::memcpy(&ip.ip6_dst, a.backend.address.bytes, sizeof(ip.ip6_dst));
  Bytes header;
  append(header, &ip, sizeof(ip));
  return header;
}

} // namespace

Bytes build_announcement(const Announcement& announcement, const trap_key& announce_key,
                         bool experimental_kind) {
  Bytes segment =
      build_segment(announcement, build_option(announcement, announce_key, experimental_kind));
  bool v4 = trap_address_is_v4(&announcement.backend.address);
  Bytes packet =
      v4 ? ipv4_header(announcement, segment.size()) : ipv6_header(announcement, segment.size());
  append(packet, segment.data(), segment.size());
  return packet;
}

} // namespace trap::server
