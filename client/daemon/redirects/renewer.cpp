// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/renewer.h"

#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/core.h>
#include <sodium.h>

#include "dataplane/packet.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/log.h"
#include "runtime/net/socket_address.h"
#include "runtime/packet/handshake.h"

namespace trap::client {
namespace {

constexpr std::uint64_t patience_ns = 5'000'000'000;
// Of hosts behind this one: their programs' own ports are above.
constexpr std::uint16_t ports_from = 600, port_count = 400;

// Its packets carry their own IP header: the source may be a host behind this one.
Fd raw_socket(int domain) {
  Fd fd(socket(domain, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  const int on = 1;
  const int priority = TRAP_CLIENT_OWN_PRIORITY;
  const int failed = domain == AF_INET
                         ? setsockopt(fd.get(), IPPROTO_IP, IP_HDRINCL, &on, sizeof(on))
                         : setsockopt(fd.get(), IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on));
  if (failed || setsockopt(fd.get(), SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)) != 0)
    return Fd();
  return fd;
}

} // namespace

Result<void> Renewer::open() {
  raw_v4_ = raw_socket(AF_INET);
  raw_v6_ = raw_socket(AF_INET6);
  if (!raw_v4_ && !raw_v6_)
    return Error{fmt::format("cannot open a raw socket to renew redirects: {}: grant CAP_NET_RAW, "
                             "or write renew = false",
                             error_text(errno))};
  return {};
}

void Renewer::forget(const Talk& talk, int pending_fd) const {
  const auto pending = map_read<trap_pending>(pending_fd, talk.tuple);
  if (pending && pending->is_renewal)
    bpf_map_delete_elem(pending_fd, &talk.tuple);
}

bool Renewer::send(const Talk& talk, std::uint32_t isn) const {
  const HandshakeSegment syn = {.from = {talk.tuple.local, TRAP_FROM_BE16(talk.tuple.local_port)},
                                .to = {talk.tuple.remote, TRAP_FROM_BE16(talk.tuple.remote_port)},
                                .flags = TRAP_TCP_SYN,
                                .seq = isn};
  const Bytes packet = build_packet(describe(syn, nullptr));
  const SocketAddress to(syn.to, false);
  const Fd& raw = family_of(syn.to.address) == TRAP_IPV4 ? raw_v4_ : raw_v6_;
  return sendto(raw.get(), packet.data(), packet.size(), 0, to.get(), to.bytes) > 0;
}

void Renewer::ask(const trap_redirect_key& key, int pending_fd, std::uint64_t now_ns) {
  Talk talk;
  talk.tuple.local = key.local;
  talk.tuple.remote = key.service;
  talk.tuple.remote_port = key.port;
  talk.since_ns = now_ns;
  if (auto port = ReservedPort::make(key.local)) {
    talk.tuple.local_port = TRAP_BE16(port->local().port);
    talk.tuple.side = TRAP_SIDE_HOST;
    talk.port = std::move(*port);
  } else {
    talk.tuple.local_port = TRAP_BE16(ports_from + randombytes_uniform(port_count));
    talk.tuple.side = TRAP_SIDE_LAN;
  }
  const std::uint32_t isn = randombytes_random();
  trap_pending pending = {};
  pending.isn = TRAP_BE32(isn);
  pending.window = TRAP_BE16(usual_window);
  pending.state = TRAP_SYN_SENT;
  pending.flags = TRAP_TCP_SYN;
  pending.hop_limit = usual_hop_limit;
  pending.is_renewal = 1;
  // Not where a connection of a host behind this one has the port.
  if (bpf_map_update_elem(pending_fd, &talk.tuple, &pending, BPF_NOEXIST) != 0)
    return;
  if (!send(talk, isn))
    log::debug("no SYN to renew the redirect of {}: {}", format_address(key.service),
               error_text(errno));
  talks_.push_back(std::move(talk));
}

void Renewer::tick(int redirects_fd, int pending_fd, std::uint64_t now_ns) {
  std::erase_if(talks_, [&](const Talk& talk) {
    const bool over = now_ns - talk.since_ns >= patience_ns;
    if (over)
      forget(talk, pending_fd);
    return over;
  });
  std::vector<RenewalPlan::Entry> held;
  map_visit<trap_redirect_key, trap_redirect>(
      redirects_fd, [&](const trap_redirect_key& key, const trap_redirect& redirect) {
        held.emplace_back(key, redirect);
      });
  for (const auto& [key, redirect] : plan_.choose(held, now_ns))
    ask(key, pending_fd, now_ns);
}

void Renewer::stop(int pending_fd) {
  for (const Talk& talk : talks_)
    forget(talk, pending_fd);
  talks_.clear();
  plan_.reset();
}

} // namespace trap::client
