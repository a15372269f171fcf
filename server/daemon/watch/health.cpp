// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/health.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <set>

#include <fmt/core.h>

#include "runtime/log.h"
#include "runtime/net/socket_address.h"
#include "server/daemon/watch/tcp_check.h"

namespace trap::server {
namespace {

constexpr std::uint64_t millisecond_ns = 1'000'000;
constexpr std::size_t most_under_way = 256; // descriptors; with more backends than that out of
                                            // reach, checks come later than they should

constexpr std::size_t most_reasons = 4;

std::optional<trap_address> source_of(const std::vector<trap_address>& sources,
                                      trap_family family) {
  for (const trap_address& source : sources) {
    if (family_of(source) == family)
      return source;
  }
  return std::nullopt;
}

} // namespace

const char* health_name(Health health) {
  switch (health) {
  case Health::up:
    return "up";
  case Health::down:
    return "down";
  default:
    return "unknown";
  }
}

bool HealthTrack::note(bool success, const HealthSettings& settings) {
  const Health before = health_;
  successes_ = success ? successes_ + 1 : 0;
  failures_ = success ? 0 : failures_ + 1;
  if (successes_ >= settings.rise)
    health_ = Health::up;
  else if (failures_ >= settings.fall && health_ == Health::up)
    health_ = Health::down;
  return health_ != before;
}

void HealthChecker::watch(const std::map<Endpoint, HealthSettings>& wanted, HealthWay way) {
  way_ = std::move(way);
  std::erase_if(targets_, [&](const Entry& entry) { return !wanted.contains(entry.first); });
  for (const auto& [backend, settings] : wanted)
    targets_[backend].settings = settings;
}

Health HealthChecker::health(const Endpoint& backend) const {
  auto at = targets_.find(backend);
  return at == targets_.end() ? Health::unknown : at->second.track.health();
}

std::optional<trap_address> HealthChecker::source(const Endpoint& backend) const {
  auto at = targets_.find(backend);
  return at == targets_.end() ? std::nullopt : at->second.source;
}

std::string HealthChecker::last_error(const Endpoint& backend) const {
  auto at = targets_.find(backend);
  return at == targets_.end() ? "" : at->second.last_error;
}

std::vector<std::string> HealthChecker::problems() const {
  std::set<std::string> reasons;
  for (const auto& [backend, target] : targets_) {
    if (target.own_error.empty() || reasons.size() == most_reasons)
      continue;
    const auto source = source_of(way_.sources, family_of(backend.address));
    reasons.insert(
        source ? fmt::format("health checks cannot leave from health_source {}: {}: name an "
                             "address of this host",
                             format_address(*source), target.own_error)
               : fmt::format("health checks cannot leave this host: {}: see its firewall and its "
                             "limits",
                             target.own_error));
  }
  return {reasons.begin(), reasons.end()};
}

bool HealthChecker::advance(std::uint64_t now_ns) {
  schedule_new(now_ns);
  const bool finished = finish_checks(now_ns);
  const bool started = start_checks(now_ns);
  return finished || started;
}

// Spreads the first checks of new backends over their interval, and with them all that follow.
void HealthChecker::schedule_new(std::uint64_t now_ns) {
  std::vector<Target*> fresh;
  for (auto& [backend, target] : targets_) {
    if (!target.is_scheduled)
      fresh.push_back(&target);
  }
  for (std::size_t i = 0; i < fresh.size(); i++) {
    fresh[i]->due_ns = now_ns + fresh[i]->settings.interval_ms * millisecond_ns * i / fresh.size();
    fresh[i]->is_scheduled = true;
  }
}

bool HealthChecker::finish_checks(std::uint64_t now_ns) {
  std::vector<Entry*> under_way;
  std::vector<pollfd> polled;
  for (Entry& entry : targets_) {
    if (!entry.second.connection)
      continue;
    under_way.push_back(&entry);
    polled.push_back({entry.second.connection.get(), POLLOUT, 0});
  }
  if (polled.empty() || poll(polled.data(), polled.size(), 0) < 0)
    return false;
  bool changed = false;
  for (std::size_t i = 0; i < polled.size(); i++) {
    Target& target = under_way[i]->second;
    if (polled[i].revents != 0)
      changed |= finish(*under_way[i], pending_error(target.connection));
    else if (now_ns >= target.started_ns + target.settings.timeout_ms * millisecond_ns)
      changed |= note(*under_way[i], false,
                      fmt::format("no answer within {} ms", target.settings.timeout_ms));
  }
  return changed;
}

bool HealthChecker::start_checks(std::uint64_t now_ns) {
  std::vector<Entry*> due;
  std::size_t under_way = 0;
  for (Entry& entry : targets_) {
    if (entry.second.connection)
      under_way++;
    else if (entry.second.due_ns <= now_ns)
      due.push_back(&entry);
  }
  std::stable_sort(due.begin(), due.end(), [](const Entry* a, const Entry* b) {
    return a->second.due_ns < b->second.due_ns;
  });
  bool changed = false;
  for (Entry* entry : due) {
    if (under_way == most_under_way)
      break;
    changed |= start(*entry, now_ns);
    under_way += entry->second.connection ? 1 : 0;
  }
  return changed;
}

bool HealthChecker::start(Entry& entry, std::uint64_t now_ns) const {
  auto& [backend, target] = entry;
  const std::uint64_t interval_ns = target.settings.interval_ms * millisecond_ns;
  // Keeps its place in the interval, unless it was kept waiting for longer than one.
  target.due_ns = std::max(target.due_ns + interval_ns, now_ns);
  target.started_ns = now_ns;
  const auto at = way_.reached_at.find(backend);
  const int error_number =
      begin_connect(target.connection, source_of(way_.sources, family_of(backend.address)),
                    at == way_.reached_at.end() ? backend : at->second);
  if (error_number == EINPROGRESS || error_number == 0)
    target.source = name_of_socket(target.connection.get()).address;
  return error_number == EINPROGRESS ? false : finish(entry, error_number);
}

// A check ended with a connection (0) or with an error.
bool HealthChecker::finish(Entry& entry, int error_number) {
  Target& target = entry.second;
  if (!is_own_failure(error_number))
    return note(entry, error_number == 0, error_number == 0 ? "" : error_text(error_number));
  target.connection.reset();
  target.own_error = error_text(error_number);
  target.last_error = fmt::format("cannot check from here: {}", target.own_error);
  return false;
}

// Takes a result. The connection is closed in order, not reset: services log resets as errors of
// their clients, and the TIME_WAIT that an orderly close leaves on this host is one small entry for
// a minute.
bool HealthChecker::note(Entry& entry, bool success, const std::string& error) {
  auto& [backend, target] = entry;
  target.connection.reset();
  target.last_error = error;
  target.own_error.clear();
  const bool changed = target.track.note(success, target.settings);
  const Health health = target.track.health();
  if (changed && health == Health::up)
    log::info({.backend = format_endpoint(backend)}, "backend {} is up", format_endpoint(backend));
  else if (changed)
    log::warn({.backend = format_endpoint(backend)},
              "backend {} is down: {} checks in a row failed: {}", format_endpoint(backend),
              target.track.failures(), error);
  else if (health == Health::unknown && target.track.failures() == target.settings.fall)
    log::warn({.backend = format_endpoint(backend)},
              "backend {} has not answered a check yet ({}), and is used all the same: does its "
              "guard trust this host?",
              format_endpoint(backend), error);
  return changed;
}

} // namespace trap::server
