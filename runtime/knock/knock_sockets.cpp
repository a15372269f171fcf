// SPDX-License-Identifier: Apache-2.0
#include "runtime/knock/knock_sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include "runtime/nanoseconds.h"
#include "runtime/net/port_filter.h"
#include "runtime/net/socket_address.h"

namespace trap {
namespace {

constexpr std::int64_t one_second_ns = ns_per_s;

constexpr std::uint32_t ancillary_offset = static_cast<std::uint32_t>(SKF_AD_OFF);

Error socket_error(const char* what) {
  return Error{fmt::format("cannot open {}: {}{}", what, error_text(errno),
                           errno == EPERM || errno == EACCES ? ": grant CAP_NET_RAW" : "")};
}

int filter(int fd, sock_filter* program, std::size_t length) {
  const sock_fprog wanted = {.len = static_cast<unsigned short>(length), .filter = program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &wanted, sizeof(wanted));
}

// TCP from or to the port, in either direction; without IPv6 extension headers, as TRAP and Linux
// send it.
int see_our_port(int fd, trap_family family, std::uint16_t port) {
  sock_filter v4[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ancillary_offset + SKF_AD_PROTOCOL),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 6),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 2, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  sock_filter v6[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ancillary_offset + SKF_AD_PROTOCOL),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 7),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 2, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  return family == TRAP_IPV4 ? filter(fd, v4, std::size(v4)) : filter(fd, v6, std::size(v6));
}

std::int64_t timestamp_of(const msghdr& message) {
  for (const cmsghdr* at = CMSG_FIRSTHDR(&message); at;
       at = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(at))) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SO_TIMESTAMPNS)
      continue;
    timespec when;
    std::memcpy(&when, CMSG_DATA(at), sizeof(when));
    return when.tv_sec * one_second_ns + when.tv_nsec;
  }
  return 0;
}

} // namespace

Result<KnockSockets> KnockSockets::make(const Endpoint& service) {
  KnockSockets sockets;
  if (auto opened = sockets.open(service); !opened)
    return opened.error();
  return sockets;
}

Result<void> KnockSockets::open(const Endpoint& service) {
  family_ = family_of(service.address);
  auto address = route_source(service);
  if (!address)
    return address.error();
  auto port = ReservedPort::make(*address);
  if (!port)
    return port.error();
  port_ = std::move(*port);
  local_ = port_.local();
  const SocketAddress here(local_, false);
  raw_ = Fd(socket(domain_of(family_), SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  const int on = 1;
  if (!raw_ || let_in_port(raw_.get(), family_, local_.port) != 0 ||
      bind(raw_.get(), here.get(), here.bytes) != 0 ||
      setsockopt(raw_.get(), family_ == TRAP_IPV4 ? IPPROTO_IP : IPPROTO_IPV6,
                 family_ == TRAP_IPV4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)) != 0)
    return socket_error("a raw socket");
  wire_ = Fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    0)); // protocol 0: nothing before the filter is there
  sockaddr_ll everywhere = {};
  everywhere.sll_family = AF_PACKET;
  everywhere.sll_protocol = TRAP_BE16(ETH_P_ALL);
  if (!wire_ || see_our_port(wire_.get(), family_, local_.port) != 0 ||
      setsockopt(wire_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
      bind(wire_.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof(everywhere)) != 0)
    return socket_error("a packet socket");
  return {};
}

Result<void> KnockSockets::send(const KnockTalk::Sending& sending) {
  const SocketAddress to(sending.segment.to, false);
  const auto bytes =
      build_transport(describe(sending.segment, sending.ticket ? &*sending.ticket : nullptr));
  if (sendto(raw_.get(), bytes.data(), bytes.size(), 0, to.get(), to.bytes) < 0)
    return Error{fmt::format("cannot send to {}: {}", format_endpoint(sending.segment.to),
                             error_text(errno))};
  return {};
}

Result<std::vector<KnockSockets::Arrival>> KnockSockets::wait(std::chrono::nanoseconds timeout) {
  pollfd ready[] = {{wire_.get(), POLLIN, 0}, {raw_.get(), POLLIN, 0}};
  const auto ns = std::max<std::int64_t>(timeout.count(), 0);
  const timespec until = {ns / one_second_ns, ns % one_second_ns};
  std::vector<Arrival> arrivals;
  if (ppoll(ready, std::size(ready), &until, nullptr) < 0 && errno != EINTR)
    return Error{fmt::format("cannot wait for answers: {}", error_text(errno))};
  // The wire's queue gets a packet before the stack does: what the stack was given now is told
  // after all that preceded it.
  std::vector<Arrival> stack;
  if (auto drained = drain_stack(stack); !drained)
    return drained.error();
  drain_wire(arrivals);
  arrivals.insert(arrivals.end(), stack.begin(), stack.end());
  return arrivals;
}

void KnockSockets::drain_wire(std::vector<Arrival>& arrivals) {
  for (;;) {
    std::uint8_t packet[256];
    sockaddr_ll link = {};
    alignas(cmsghdr) char control[128];
    iovec data = {packet, sizeof(packet)};
    msghdr message = {.msg_name = &link,
                      .msg_namelen = sizeof(link),
                      .msg_iov = &data,
                      .msg_iovlen = 1,
                      .msg_control = control,
                      .msg_controllen = sizeof(control),
                      .msg_flags = 0};
    const ssize_t got = recvmsg(wire_.get(), &message, MSG_DONTWAIT);
    if (got < 0)
      return;
    if (auto segment = read_packet(packet, static_cast<std::size_t>(got)))
      arrivals.push_back(
          {*segment, true, link.sll_pkttype == PACKET_OUTGOING, timestamp_of(message)});
  }
}

Result<void> KnockSockets::drain_stack(std::vector<Arrival>& arrivals) {
  for (;;) {
    std::uint8_t packet[256];
    sockaddr_storage peer = {};
    socklen_t peer_bytes = sizeof(peer);
    const ssize_t got = recvfrom(raw_.get(), packet, sizeof(packet), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&peer), &peer_bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return {};
    if (got < 0)
      return Error{fmt::format("the network refuses: {}", error_text(errno))}; // an ICMP error
    const auto bytes = static_cast<std::size_t>(got);
    const auto segment = family_ == TRAP_IPV4 ? read_packet(packet, bytes)
                                              : read_segment(endpoint_of(peer).address,
                                                             local_.address, packet, bytes);
    if (segment)
      arrivals.push_back({*segment, false, false, 0});
  }
}

} // namespace trap
