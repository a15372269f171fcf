// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/frame.h"

#include <algorithm>
#include <iterator>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace trap::lab {
namespace {

void put8(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value));
}

void put16(Bytes& out, std::size_t value) {
  put8(out, value >> 8);
  put8(out, value);
}

void put32(Bytes& out, std::size_t value) {
  put16(out, value >> 16);
  put16(out, value);
}

void append(Bytes& out, const Bytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

Bytes address_bytes(Family family, const std::string& text) {
  Bytes bytes(family == Family::ipv4 ? 4 : 16);
  inet_pton(family == Family::ipv4 ? AF_INET : AF_INET6, text.c_str(), bytes.data());
  return bytes;
}

// RFC 1071.
std::size_t checksum(const Bytes& bytes) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i++)
    sum += i % 2 == 0 ? static_cast<std::size_t>(bytes[i]) << 8 : bytes[i];
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

void set_checksum(Bytes& bytes, std::size_t at, std::size_t sum) {
  bytes[at] = static_cast<std::uint8_t>(sum >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(sum);
}

// With the pseudo-header of both ends (RFC 9293 3.1, RFC 8200 8.1).
std::size_t checksum_with_ends(const Segment& segment, std::uint8_t protocol, const Bytes& l4) {
  Bytes summed = address_bytes(segment.family, segment.source);
  append(summed, address_bytes(segment.family, segment.destination));
  put32(summed, l4.size());
  put32(summed, protocol);
  append(summed, l4);
  return checksum(summed);
}

Bytes tcp_of(const Segment& segment) {
  Bytes options = segment.options, tcp;
  options.resize((options.size() + 3) / 4 * 4);
  put16(tcp, segment.source_port);
  put16(tcp, segment.destination_port);
  put32(tcp, segment.seq);
  put32(tcp, segment.ack);
  put8(tcp, segment.data_offset.value_or(static_cast<std::uint8_t>(5 + options.size() / 4)) << 4);
  put8(tcp, segment.flags);
  put16(tcp, 64240);
  put32(tcp, 0);
  append(tcp, options);
  append(tcp, segment.payload);
  set_checksum(tcp, 16, checksum_with_ends(segment, IPPROTO_TCP, tcp));
  return tcp;
}

Bytes ipv4_header(const Segment& segment, std::size_t l4_bytes,
                  std::uint8_t protocol = IPPROTO_TCP) {
  Bytes ip;
  const std::size_t bytes = 20 + segment.ip_options.size();
  put8(ip, 0x40 | bytes / 4);
  put8(ip, 0);
  put16(ip, bytes + l4_bytes);
  put16(ip, segment.source_port); // identification: the same for the parts of one segment
  put16(ip, segment.fragment);
  put8(ip, 64);
  put8(ip, protocol);
  put16(ip, 0);
  append(ip, address_bytes(segment.family, segment.source));
  append(ip, address_bytes(segment.family, segment.destination));
  append(ip, segment.ip_options);
  set_checksum(ip, 10, checksum(ip));
  return ip;
}

Bytes ipv6_headers(const Segment& segment, std::size_t l4_bytes,
                   std::uint8_t protocol = IPPROTO_TCP) {
  Bytes extensions;
  for (std::size_t i = 0; i < segment.extensions.size(); i++) {
    const std::size_t at = extensions.size();
    append(extensions, segment.extensions[i].bytes);
    extensions[at] = i + 1 < segment.extensions.size() ? segment.extensions[i + 1].type : protocol;
  }
  Bytes ip;
  put32(ip, 0x60000000);
  put16(ip, extensions.size() + l4_bytes);
  put8(ip, segment.extensions.empty() ? protocol : segment.extensions.front().type);
  put8(ip, 64);
  append(ip, address_bytes(segment.family, segment.source));
  append(ip, address_bytes(segment.family, segment.destination));
  append(ip, extensions);
  return ip;
}

Bytes ip_headers(const Segment& segment, std::size_t l4_bytes,
                 std::uint8_t protocol = IPPROTO_TCP) {
  return segment.family == Family::ipv4 ? ipv4_header(segment, l4_bytes, protocol)
                                        : ipv6_headers(segment, l4_bytes, protocol);
}

Bytes ethernet_header(const HostAddresses& place, const Segment& segment) {
  Bytes header;
  for (const MacAddress& mac : {place.mac(), place.router_mac()})
    for (const std::uint8_t byte : mac)
      put8(header, byte);
  for (std::size_t i = 0; i < segment.tags.size(); i++) {
    put16(header, segment.tags[i]);
    put16(header, 10 + i); // VLAN 10, and 11 inside it
  }
  put16(header, segment.family == Family::ipv4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
  return header;
}

} // namespace

Bytes frame_to(const HostAddresses& place, const Segment& segment) {
  const Bytes tcp = tcp_of(segment);
  const std::size_t from = std::min(segment.part_from, tcp.size()),
                    bytes = std::min(segment.part_bytes, tcp.size() - from);
  Bytes frame = ethernet_header(place, segment);
  append(frame, ip_headers(segment, bytes));
  std::copy_n(tcp.begin() + static_cast<std::ptrdiff_t>(from), bytes, std::back_inserter(frame));
  frame.resize(frame.size() - segment.cut_bytes);
  return frame;
}

Bytes frame_to(const HostAddresses& place, const IcmpError& error) {
  Segment carrier;
  carrier.family = error.about.family;
  carrier.source = error.reporter;
  carrier.destination = error.about.source;
  const Bytes tcp = tcp_of(error.about);
  Bytes icmp;
  put8(icmp, error.type);
  put8(icmp, error.code);
  put16(icmp, 0);
  put32(icmp, error.rest);
  append(icmp, ip_headers(error.about, tcp.size()));
  append(icmp, tcp);
  const std::uint8_t protocol =
      carrier.family == Family::ipv4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
  set_checksum(icmp, 2,
               carrier.family == Family::ipv4 ? checksum(icmp)
                                              : checksum_with_ends(carrier, protocol, icmp));
  Bytes frame = ethernet_header(place, carrier);
  append(frame, ip_headers(carrier, icmp.size(), protocol));
  append(frame, icmp);
  return frame;
}

Result<FrameSocket> FrameSocket::open(const Host& router, std::string_view towards) {
  const InHost inside{router};
  Fd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(std::string{towards}.c_str()));
  if (!inside.entered() || !socket || address.sll_ifindex == 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error{"no packet socket on the router's interface " + std::string{towards} + ": " +
                 error_text(errno)};
  return FrameSocket{std::move(socket)};
}

Result<void> FrameSocket::send(const Bytes& frame) const {
  if (::send(socket_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
    return Error{"cannot send a frame: " + error_text(errno)};
  return {};
}

} // namespace trap::lab
