// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/hearing.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>

#include <fmt/core.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/watch/tcp_check.h"

namespace trap::server {
namespace {

constexpr std::uint64_t longest_check_ns = 2'500'000'000; // the SYN may be lost once
constexpr unsigned failures_until_unheard = 3;
constexpr std::size_t most_under_way = 64; // descriptors

} // namespace

const char* hearing_name(Hearing hearing) {
  switch (hearing) {
  case Hearing::heard:
    return "heard";
  case Hearing::unheard:
    return "unheard";
  default:
    return "unknown";
  }
}

void HearingChecks::follow(const ServerConfig& config, const ServerPlan& plan) {
  std::map<Pair, Ear> earlier = std::move(ears_);
  ears_.clear();
  interval_ns_ = config.announce_check_s * ns_per_s;
  if (config.announce_rate == 0 || interval_ns_ == 0)
    return;
  for (const PlannedService& planned : plan.services) {
    for (const PlannedPool& pool : planned.pools) {
      for (const PoolMember& member : pool.members) {
        const BackendConfig& backend = *member.backend;
        if (!planned.service->checks_health || backend.state == BackendState::down)
          continue;
        const Pair pair = {{planned.announces_from, 0}, backend.endpoint};
        auto [at, is_new] = ears_.try_emplace(pair);
        if (auto known = earlier.find(pair); is_new && known != earlier.end())
          at->second = std::move(known->second);
        at->second.backend = member.index;
        at->second.reached_at = backend.reached_at();
        at->second.guard = backend.guard;
        at->second.scope =
            family_of(planned.announces_from) == TRAP_IPV4 ? backend.scope_v4 : backend.scope_v6;
      }
    }
  }
}

std::uint64_t HearingChecks::timeout_ns() const {
  return std::min(longest_check_ns, interval_ns_);
}

// Spreads the first checks over the interval. The first comes after one: guards may be starting.
void HearingChecks::schedule_new(std::uint64_t now_ns) {
  std::vector<Ear*> fresh;
  for (auto& [pair, ear] : ears_) {
    if (!ear.is_scheduled)
      fresh.push_back(&ear);
  }
  for (std::size_t i = 0; i < fresh.size(); i++) {
    fresh[i]->due_ns = now_ns + interval_ns_ * (i + 1) / fresh.size();
    fresh[i]->is_scheduled = true;
  }
}

bool HearingChecks::finish_checks(std::uint64_t now_ns) {
  std::vector<Ear*> under_way;
  std::vector<pollfd> polled;
  for (auto& [pair, ear] : ears_) {
    if (!ear.connection)
      continue;
    under_way.push_back(&ear);
    polled.push_back({ear.connection.get(), POLLOUT, 0});
  }
  if (polled.empty() || poll(polled.data(), polled.size(), 0) < 0)
    return false;
  bool again = false;
  for (std::size_t i = 0; i < polled.size(); i++) {
    if (polled[i].revents != 0)
      again |= note(*under_way[i], pending_error(under_way[i]->connection));
    else if (now_ns >= under_way[i]->started_ns + timeout_ns())
      again |= note(*under_way[i], ETIMEDOUT);
  }
  return again;
}

bool HearingChecks::advance(std::uint64_t now_ns, const MayAnnounce& may_announce,
                            const Announce& announce) {
  schedule_new(now_ns);
  bool again = finish_checks(now_ns);
  auto under_way = static_cast<std::size_t>(std::ranges::count_if(
      ears_, [](const auto& entry) { return static_cast<bool>(entry.second.connection); }));
  for (auto& [pair, ear] : ears_) {
    if (under_way >= most_under_way)
      break;
    if (ear.connection || ear.due_ns > now_ns)
      continue;
    ear.due_ns = std::max(ear.due_ns + interval_ns_, now_ns);
    ear.started_ns = now_ns;
    const trap_address& source = pair.first.address;
    if (!may_announce(source, pair.second, ear.scope)) {
      ear.result = Hearing::unknown;
      ear.failures = 0;
      continue;
    }
    if (!announce(source, ear.backend)) {
      again |= note(ear, EPERM);
      continue;
    }
    const int error_number = begin_connect(ear.connection, source, ear.reached_at);
    if (error_number == EINPROGRESS)
      under_way++;
    else
      again |= note(ear, error_number);
  }
  return again;
}

// A refusal comes from behind the guard, which let the SYN in. True if silence ends.
bool HearingChecks::note(Ear& ear, int error_number) {
  const bool was_silent = ear.failures > 0;
  ear.connection.reset();
  if (is_own_failure(error_number)) {
    ear.result = Hearing::unknown;
    ear.failures = 0;
  } else if (error_number == 0 || error_number == ECONNREFUSED) {
    ear.result = Hearing::heard;
    ear.failures = 0;
  } else if (++ear.failures >= failures_until_unheard) {
    ear.result = Hearing::unheard;
  }
  return was_silent && ear.result == Hearing::heard;
}

Hearing HearingChecks::hearing(const trap_address& source, const Endpoint& backend) const {
  const auto at = ears_.find({{source, 0}, backend});
  return at == ears_.end() ? Hearing::unknown : at->second.result;
}

std::vector<std::string>
HearingChecks::problems(const std::function<Health(const Endpoint&)>& health_of) const {
  std::vector<std::string> problems;
  for (const auto& [pair, ear] : ears_) {
    const auto& [source, backend] = pair;
    const Health health = health_of(backend);
    if (ear.result != Hearing::unheard || health == Health::down)
      continue;
    problems.push_back(fmt::format(
        "backend {}: guard \"{}\" at {} does not hear announcements from {}{}: name that address "
        "in its trap_servers, compare keys and clocks, and see that no network between drops or "
        "rewrites that source (announce_source, guard_address)",
        format_endpoint(backend), ear.guard, format_endpoint(ear.reached_at),
        format_address(source.address),
        health == Health::unknown ? ", and no health check was ever answered" : ""));
  }
  return problems;
}

} // namespace trap::server
