// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/wire.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

namespace trap::lab {
namespace {

constexpr std::size_t largest = 70000; // a veth brings what its other end has not cut

Result<Fd> packet_socket(const std::string& interface, std::uint16_t protocol) {
  Fd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const int on = 1;
  if (!socket || address.sll_ifindex == 0 ||
      setsockopt(socket.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error{"no packet socket on the router's interface " + interface + ": " +
                 error_text(errno)};
  return socket;
}

std::uint16_t be16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

std::uint32_t be32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(be16(at)) << 16 | be16(at + 2);
}

// Reads the IP header. Returns TCP's segment; empty if it is not of this connection.
std::span<const std::uint8_t> read_ip(std::span<const std::uint8_t> packet, const Endpoint& server,
                                      const Endpoint& client, Seen& seen) {
  if (family_of(server.address) == TRAP_IPV4) {
    const std::size_t header =
        packet.size() < 20 ? 0 : static_cast<std::size_t>(packet[0] & 15) * 4;
    if (header < 20 || packet[0] >> 4 != 4 || packet[9] != IPPROTO_TCP ||
        std::memcmp(&packet[12], &server.address.be32[3], 4) != 0 ||
        std::memcmp(&packet[16], &client.address.be32[3], 4) != 0 ||
        be16(&packet[2]) > packet.size() || be16(&packet[2]) < header)
      return {};
    seen.traffic_class = packet[1];
    seen.identification = be16(&packet[4]);
    seen.ip_bytes = header;
    seen.hop_limit = packet[8];
    seen.fragments = !(packet[6] & 0x40);
    return packet.subspan(header, be16(&packet[2]) - header);
  }
  if (packet.size() < 40 || packet[0] >> 4 != 6 || packet[6] != IPPROTO_TCP ||
      std::memcmp(&packet[8], server.address.bytes, 16) != 0 ||
      std::memcmp(&packet[24], client.address.bytes, 16) != 0 ||
      be16(&packet[4]) > packet.size() - 40)
    return {};
  seen.ip_bytes = 40;
  seen.traffic_class = static_cast<std::uint8_t>(packet[0] << 4 | packet[1] >> 4);
  seen.hop_limit = packet[7];
  return packet.subspan(40, be16(&packet[4]));
}

bool read_tcp(std::span<const std::uint8_t> tcp, const Endpoint& server, const Endpoint& client,
              Seen& seen) {
  const std::size_t header = tcp.size() < 20 ? 0 : static_cast<std::size_t>(tcp[12] >> 4) * 4;
  if (header < 20 || header > tcp.size() || be16(&tcp[0]) != server.port ||
      be16(&tcp[2]) != client.port)
    return false;
  seen.seq = be32(&tcp[4]);
  seen.ack = be32(&tcp[8]);
  seen.flags = tcp[13];
  seen.window = be16(&tcp[14]);
  seen.options.assign(tcp.begin() + 20, tcp.begin() + static_cast<std::ptrdiff_t>(header));
  seen.payload.assign(tcp.begin() + static_cast<std::ptrdiff_t>(header), tcp.end());
  return true;
}

void note_tag(Seen& seen, std::uint16_t protocol, std::uint16_t control) {
  (protocol == ETH_P_8021AD ? seen.outer_vlan : seen.vlan) = control & 0xfff;
  seen.priority += control >> 13;
}

void insert_tag(Bytes& frame, std::uint16_t protocol, int tag) {
  if (tag < 0)
    return;
  const std::uint8_t bytes[] = {
      static_cast<std::uint8_t>(protocol >> 8), static_cast<std::uint8_t>(protocol & 0xff),
      static_cast<std::uint8_t>(tag >> 8), static_cast<std::uint8_t>(tag & 0xff)};
  frame.insert(frame.begin() + 2 * ETH_ALEN, std::begin(bytes), std::end(bytes));
}

// Of the kernel's metadata: the outermost tag of a frame.
void read_metadata(msghdr& message, Seen& seen) {
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level != SOL_PACKET || at->cmsg_type != PACKET_AUXDATA)
      continue;
    tpacket_auxdata extra{};
    std::memcpy(&extra, CMSG_DATA(at), sizeof extra);
    if (extra.tp_status & TP_STATUS_VLAN_VALID)
      note_tag(seen,
               extra.tp_status & TP_STATUS_VLAN_TPID_VALID ? extra.tp_vlan_tpid : ETHERTYPE_VLAN,
               extra.tp_vlan_tci);
  }
}

} // namespace

Result<Wire> Wire::open(const Host& router, const Sending& sending) {
  const InHost inside{router};
  if (!inside.entered())
    return Error{"cannot enter the router's namespace"};
  auto socket = packet_socket(std::string{sending.interface}, ETH_P_ALL);
  if (!socket)
    return socket.error();
  return Wire{std::move(*socket), sending};
}

Bytes Wire::frame_of(const Segment& segment, std::uint8_t traffic_class, bool accurate_ecn) const {
  Bytes frame =
      build_frame({.destination = sending_.destination, .source = sending_.source}, segment);
  if (family_of(segment.from.address) == TRAP_IPV4) {
    frame[15] = traffic_class;
  } else {
    frame[14] = static_cast<std::uint8_t>(0x60 | traffic_class >> 4);
    frame[15] = static_cast<std::uint8_t>(traffic_class << 4);
  }
  if (accurate_ecn)
    frame[family_of(segment.from.address) == TRAP_IPV4 ? 46 : 66] |= 1;
  renew_checksums(std::span{frame}.subspan(ETH_HLEN));
  insert_tag(frame, ETHERTYPE_VLAN, sending_.vlan);
  insert_tag(frame, ETH_P_8021AD, sending_.outer_vlan);
  return frame;
}

Result<void> Wire::send(const Segment& segment, std::uint8_t traffic_class,
                        bool accurate_ecn) const {
  return send(frame_of(segment, traffic_class, accurate_ecn));
}

Result<void> Wire::send(const Bytes& frame) const {
  if (::send(socket_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
    return Error{"cannot send a frame: " + error_text(errno)};
  return {};
}

Result<void> Wire::send_burst(const std::vector<Segment>& segments,
                              std::uint8_t traffic_class) const {
  std::vector<Bytes> frames;
  for (const Segment& segment : segments)
    frames.push_back(frame_of(segment, traffic_class, false));
  std::vector<iovec> parts;
  for (Bytes& frame : frames)
    parts.push_back({frame.data(), frame.size()});
  std::vector<mmsghdr> messages(parts.size());
  for (std::size_t i = 0; i < parts.size(); i++) {
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  if (sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(messages.size()), 0) !=
      static_cast<int>(messages.size()))
    return Error{"cannot send frames: " + error_text(errno)};
  return {};
}

std::optional<Seen> Wire::next(const Endpoint& server, const Endpoint& client,
                               std::chrono::milliseconds patience) const {
  static thread_local std::array<std::uint8_t, largest> buffer;
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    sockaddr_ll from{};
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, 128> control{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t bytes = recvmsg(socket_.get(), &message, 0);
    if (bytes < 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count()) + 1) <= 0)
        return std::nullopt;
      continue;
    }
    if (from.sll_pkttype == PACKET_OUTGOING || bytes < ETH_HLEN)
      continue;
    Seen seen;
    const std::span frame{buffer.data(), static_cast<std::size_t>(bytes)};
    std::copy_n(frame.begin(), 6, seen.destination.begin());
    std::copy_n(frame.begin() + 6, 6, seen.source.begin());
    read_metadata(message, seen);
    std::size_t header_bytes = ETH_HLEN;
    for (std::uint16_t type = be16(&frame[12]);
         frame.size() > header_bytes + 4 && (type == ETHERTYPE_VLAN || type == ETH_P_8021AD);
         type = be16(&frame[header_bytes - 2])) {
      note_tag(seen, type, be16(&frame[header_bytes]));
      header_bytes += 4;
    }
    const auto tcp = read_ip(frame.subspan(header_bytes), server, client, seen);
    if (!tcp.empty() && read_tcp(tcp, server, client, seen))
      return seen;
  }
}

} // namespace trap::lab
