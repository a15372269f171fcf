// SPDX-License-Identifier: Apache-2.0
#include "runtime/knock/knock_sockets.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
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

Error socket_error() {
  return Error{fmt::format("cannot open a raw socket: {}{}", error_text(errno),
                           errno == EPERM || errno == EACCES ? ": grant CAP_NET_RAW" : "")};
}

} // namespace

Result<KnockSockets> KnockSockets::make(const Endpoint& service, const OpenKnockWire& open_wire) {
  KnockSockets sockets;
  if (auto opened = sockets.open(service, open_wire); !opened)
    return opened.error();
  return sockets;
}

Result<void> KnockSockets::open(const Endpoint& service, const OpenKnockWire& open_wire) {
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
    return socket_error();
  auto wire = open_wire(family_, local_.port);
  if (!wire)
    return wire.error();
  wire_ = std::move(*wire);
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
  pollfd ready[] = {{wire_->event_fd(), POLLIN, 0}, {raw_.get(), POLLIN, 0}};
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
  for (const KnockWire::Sighting& seen : wire_->take())
    arrivals.push_back({seen.segment, true, seen.outgoing, seen.at_ns});
  arrivals.insert(arrivals.end(), stack.begin(), stack.end());
  return arrivals;
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
