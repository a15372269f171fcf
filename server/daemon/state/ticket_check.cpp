// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/ticket_check.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/core.h>
#include <sodium.h>

#include "runtime/nanoseconds.h"
#include "runtime/net/port_filter.h"
#include "runtime/net/socket_address.h"

namespace trap::server {
namespace {

constexpr std::size_t most_under_way = 64;
// A try is looked at once a second, a little early or late.
constexpr std::array<std::uint64_t, 2> send_at_ns = {0, ns_per_s / 2};
constexpr std::uint64_t patience_ns = ns_per_s * 3 / 2;

constexpr std::uint64_t after_answer_ns = 60 * ns_per_s;
constexpr std::uint64_t after_silence_ns = 15 * ns_per_s;

// Gets only what comes from the backend, so that no flood wakes it.
Fd raw_socket(const Endpoint& local, const Endpoint& backend) {
  const trap_family family = family_of(local.address);
  const SocketAddress here(local, false), there(backend, false);
  Fd raw(socket(domain_of(family), SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!raw || let_in_port(raw.get(), family, local.port) != 0 ||
      bind(raw.get(), here.get(), here.bytes) != 0 ||
      connect(raw.get(), there.get(), there.bytes) != 0)
    return {};
  return raw;
}

std::optional<HandshakeSegment> receive(int raw, const Endpoint& from, const Endpoint& to) {
  std::uint8_t packet[256];
  const ssize_t got = recv(raw, packet, sizeof(packet), MSG_DONTWAIT);
  if (got < 0)
    return std::nullopt;
  const auto bytes = static_cast<std::size_t>(got);
  return family_of(to.address) == TRAP_IPV4 ? read_packet(packet, bytes)
                                            : read_segment(from.address, to.address, packet, bytes);
}

// Without what no guard refuses. It may refuse the tag: of another of its pools, or of none.
BackendKey trial_key(const trap_backend& value) {
  BackendKey key = backend_key(value);
  key.lifetime_s = 0;
  return key;
}

} // namespace

const char* ticket_result_name(TicketResult result) {
  switch (result) {
  case TicketResult::taken:
    return "taken";
  case TicketResult::unchecked:
    return "unchecked";
  case TicketResult::unanswered:
    return "unanswered";
  case TicketResult::impossible:
    return "impossible";
  default:
    return "untried";
  }
}

Result<TicketCheck::Try> TicketCheck::begin(const PlannedBackend& backend, std::uint64_t now_ns,
                                            const MakeTicket& make_ticket) {
  auto local = backend.checked_from ? Result<trap_address>(*backend.checked_from)
                                    : route_source(backend.reached_at);
  if (!local)
    return local.error();
  auto port = ReservedPort::make(*local);
  if (!port)
    return port.error();
  const auto ticket = make_ticket(backend, *local);
  Fd raw = raw_socket(port->local(), backend.reached_at);
  if (!ticket || !raw)
    return Error{ticket ? error_text(errno) : "no key"};
  const HandshakeSegment syn = {.from = port->local(),
                                .to = backend.reached_at,
                                .flags = tcp_syn,
                                .seq = randombytes_random(),
                                .option = TRAP_TICKET};
  return Try{std::move(*port), std::move(raw), syn, *ticket, now_ns, 0};
}

bool TicketCheck::send(const Try& at, const HandshakeSegment& segment) {
  const Bytes bytes = build_transport(describe(segment, &at.ticket));
  return ::send(at.raw.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) >= 0;
}

// The result, once there is one. The backend's socket is not left half-open.
std::optional<TicketResult> TicketCheck::look_at(Try& at, std::uint64_t now_ns) {
  while (const auto answer = receive(at.raw.get(), at.syn.to, at.syn.from)) {
    if (answer->from != at.syn.to || answer->ack != at.syn.seq + 1 || !(answer->flags & tcp_ack))
      continue;
    if (answer->flags & tcp_rst)
      return TicketResult::unchecked;
    if (!(answer->flags & tcp_syn))
      continue;
    send(at, {.from = at.syn.from, .to = at.syn.to, .flags = tcp_rst, .seq = at.syn.seq + 1});
    return answer->option == TRAP_CONSENT && !answer->bad_option ? TicketResult::taken
                                                                 : TicketResult::unchecked;
  }
  if (now_ns >= at.began_ns + patience_ns)
    return TicketResult::unanswered;
  if (at.sent < send_at_ns.size() && now_ns >= at.began_ns + send_at_ns[at.sent]) {
    at.sent++;
    if (!send(at, at.syn) && errno != EAGAIN)
      return TicketResult::impossible;
  }
  return std::nullopt;
}

void TicketCheck::conclude(Trial& trial, TicketResult result, std::uint64_t now_ns) {
  trial.under_way.reset();
  trial.result = result;
  trial.due_ns = now_ns + (result == TicketResult::unanswered ? after_silence_ns : after_answer_ns);
}

void TicketCheck::follow(const ServerPlan& plan) {
  std::map<BackendKey, Trial> kept;
  for (const PlannedService& planned : plan.services) {
    for (const PlannedPool& pool : planned.pools) {
      for (const PoolMember& member : pool.members) {
        if (!planned.service->checks_health || member.backend->state == BackendState::down)
          continue;
        const BackendKey key = trial_key(plan.backends.at(member.index).value);
        if (auto at = trials_.extract(key))
          kept.insert(std::move(at));
        else
          kept.try_emplace(key);
      }
    }
  }
  trials_ = std::move(kept);
}

void TicketCheck::advance(const ServerPlan& plan, std::uint64_t now_ns,
                          const MakeTicket& make_ticket) {
  follow(plan);
  std::size_t under_way = 0;
  for (auto& [key, trial] : trials_) {
    if (!trial.under_way)
      continue;
    if (const auto result = look_at(*trial.under_way, now_ns))
      conclude(trial, *result, now_ns);
    else
      under_way++;
  }
  for (const auto& [index, backend] : plan.backends) {
    auto at = trials_.find(trial_key(backend.value));
    if (at == trials_.end() || at->second.under_way || now_ns < at->second.due_ns)
      continue;
    if (under_way++ >= most_under_way)
      return;
    if (auto begun = begin(backend, now_ns, make_ticket)) {
      at->second.under_way = std::move(*begun);
      if (const auto result = look_at(*at->second.under_way, now_ns))
        conclude(at->second, *result, now_ns);
    } else {
      conclude(at->second, TicketResult::impossible, now_ns);
    }
  }
}

TicketResult TicketCheck::result(const trap_backend& backend) const {
  const auto at = trials_.find(trial_key(backend));
  return at == trials_.end() ? TicketResult::untried : at->second.result;
}

std::vector<std::string> ticket_problems(const ServerPlan& plan, const TicketCheck& check,
                                         const std::function<Health(const Endpoint&)>& health_of) {
  std::set<std::string> problems;
  for (const auto& [index, backend] : plan.backends) {
    if (check.result(backend.value) != TicketResult::unanswered)
      continue;
    const Health health = health_of(backend.endpoint);
    if (health == Health::down) // that is the problem
      continue;
    const bool is_v4 = family_of(backend.endpoint.address) == TRAP_IPV4;
    problems.insert(fmt::format(
        "backend {}: {} a SYN with a ticket: clients that are sent there {} shut out: compare "
        "scope_{} = {}, the clock and its [[pool]] (tickets have tag {}) with guard \"{}\" there, "
        "and its key with this master key",
        format_endpoint(backend.endpoint),
        health == Health::up ? "answers this host, but not" : "does not answer",
        health == Health::up ? "are" : "may be", is_v4 ? "v4" : "v6",
        is_v4 ? backend.value.scope_v4 : backend.value.scope_v6, backend.value.tag, backend.guard));
  }
  return {problems.begin(), problems.end()};
}

} // namespace trap::server
