// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/runtime_state.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/kernel/counters.h"
#include "runtime/log.h"
#include "runtime/net/stack_counter.h"
#include "server/daemon/watch/host_settings.h"

namespace trap::server {
namespace {

// A client may answer a cookie of the stack for this long.
constexpr std::uint64_t stack_cookies_ns = 120'000'000'000;

constexpr std::uint64_t test_every_ns = 60'000'000'000; // a handshake of the daemon's own
constexpr std::uint64_t soon_ns = 500'000'000;          // another one if it was lost
constexpr std::uint64_t settled_ns = 3'000'000'000;     // or if nothing can be said of the way

bool serves_any(const ServerPlan& plan) {
  return std::any_of(plan.services.begin(), plan.services.end(),
                     [](const PlannedService& planned) { return planned.service->serves(); });
}

constexpr std::size_t most_addresses = 4; // of one line

std::string label(const std::string& service, const std::vector<Endpoint>& addresses) {
  std::string list;
  const std::size_t shown = std::min(addresses.size(), most_addresses);
  for (std::size_t i = 0; i < shown; i++)
    list += (i == 0 ? "" : ", ") + format_endpoint(addresses[i]);
  if (addresses.size() > shown)
    list += fmt::format(" and {} more", addresses.size() - shown);
  return fmt::format("service \"{}\", {}", service, list);
}

// Connections may live here, and at peace the stack judges them all by itself.
bool has_sockets_of_ours(__u32 flags) {
  return (flags & TRAP_SERVICE_SOCKETS) && !(flags & TRAP_SERVICE_RESTS);
}

// TRAP answered for it when its value was written.
bool was_active(const ServiceValues& values, const Endpoint& address) {
  auto at = values.find(address);
  return at != values.end() && (at->second.flags & TRAP_SERVICE_SERVES) &&
         !(at->second.flags & TRAP_SERVICE_RESTS);
}

} // namespace

Result<void> RuntimeState::follow(const ServerConfig& config, const ServerPlan& plan) {
  if (auto watched = watch_listeners(config); !watched)
    return watched.error();
  backends_.follow(config);
  watch_attacks(plan);
  const auto slots = plan.slots();
  const auto is_gone = [&](const auto& entry) { return !slots.contains(entry.first); };
  std::erase_if(shortfalls_, is_gone);
  std::erase_if(tests_, is_gone);
  std::erase_if(living_handshakes_, is_gone);
  return {};
}

Result<void> RuntimeState::watch_listeners(const ServerConfig& config) {
  std::vector<Endpoint> addresses;
  for (const ServiceConfig& service : config.services) {
    if (service.serves())
      addresses.insert(addresses.end(), service.addresses.begin(), service.addresses.end());
  }
  if (!listeners_) {
    if (addresses.empty())
      return {};
    auto made = ListenerProbe::make();
    if (!made)
      return made.error();
    listeners_ = std::move(*made);
  }
  listeners_->watch(addresses);
  return {};
}

void RuntimeState::watch_attacks(const ServerPlan& plan) {
  std::map<Endpoint, Activation> activations;
  for (const PlannedService& planned : plan.services) {
    const ServiceConfig& service = *planned.service;
    if (service.activate != Activate::attack)
      continue;
    auto known = activations_.find(planned.address);
    auto [at, is_new] =
        known != activations_.end()
            ? activations.emplace(planned.address, std::move(known->second))
            : activations.emplace(planned.address, Activation(service.activation,
                                                              was_active(told_, planned.address)));
    at->second.configure(service.activation);
  }
  activations_ = std::move(activations);
}

bool RuntimeState::observe_attacks(const ServerPlan& plan, int counters_fd, std::uint64_t now_ns) {
  CounterReader counters(counters_fd);
  const auto opened =
      activations_.empty() ? std::nullopt : read_stack_counter("Tcp", "PassiveOpens");
  std::map<std::pair<std::string, bool>, std::pair<std::vector<Endpoint>, std::string>> events;
  for (const PlannedService& planned : plan.services) {
    auto at = activations_.find(planned.address);
    if (at == activations_.end())
      continue;
    ActivationSample sample = activation_sample(counters.read(planned.slot));
    if (opened)
      sample.completions +=
          living_handshakes_[planned.address].count(sample.met, *opened) - sample.met;
    if (!at->second.observe(now_ns, sample))
      continue;
    auto& [addresses, reason] = events[{planned.service->name, at->second.active()}];
    addresses.push_back(planned.address);
    if (reason.empty())
      reason = at->second.reason();
  }
  for (const auto& [event, told] : events) {
    const auto& [service, is_attack] = event;
    const std::string who = label(service, told.first);
    if (is_attack)
      log::warn({.service = service}, "{}: attack: {}: TRAP answers from now on", who, told.second);
    else
      log::info({.service = service}, "{}: peace: {}: the stack answers from now on", who,
                told.second);
  }
  return !events.empty();
}

bool RuntimeState::advance(const ServerPlan& plan, int counters_fd, std::uint64_t now_ns) {
  now_ns_ = now_ns;
  if (listeners_)
    listeners_->advance(now_ns);
  const bool health_changed = backends_.advance(now_ns);
  const bool peace_changed = observe_attacks(plan, counters_fd, now_ns);
  return health_changed || peace_changed;
}

std::uint32_t RuntimeState::mark_of(const PlannedService& planned) const {
  const auto known = facts_.find(planned.address);
  return known == facts_.end() ? 0 : known->second.facts.mark;
}

std::vector<RouteSource> RuntimeState::route_sources(const ServerPlan& plan) const {
  constexpr std::size_t most = 256; // questions take time; so many say enough
  std::vector<RouteSource> sources = {{trap_address_v4(0), 0}, {{}, 0}};
  if (!has_routing_rules())
    return sources;
  for (const PlannedService& planned : plan.services) {
    const RouteSource source = {planned.address.address, mark_of(planned)};
    if (sources.size() < most && std::ranges::find(sources, source) == sources.end())
      sources.push_back(source);
  }
  return sources;
}

void RuntimeState::look_at_host(const ServerPlan& plan, const std::vector<std::string>& interfaces,
                                bool assigns, bool loses_answers) {
  host_.assigns = assigns;
  host_.loses_answers = loses_answers;
  host_.settings = read_host_settings();
  host_.mtu = smallest_mtu(interfaces);
  host_.routes = default_route_wishes(interfaces, route_sources(plan));
  host_.hop_limits = read_hop_limits(interfaces);
}

void RuntimeState::note_listeners(const std::map<Endpoint, ListenerFacts>& facts) {
  std::map<Endpoint, KnownFacts> known;
  for (const auto& [address, of_listener] : facts) {
    auto before = facts_.find(address);
    const bool same = before != facts_.end() && before->second.facts == of_listener;
    known[address] = {of_listener, same ? before->second.since_ns : now_ns_};
  }
  facts_ = std::move(known);
}

void RuntimeState::note_queues(const std::map<Endpoint, QueueSight>& queues,
                               std::optional<std::uint64_t> overflows) {
  std::erase_if(queues_, [&](const auto& entry) { return !queues.contains(entry.first); });
  for (const auto& [address, sight] : queues)
    queues_[address].observe(now_ns_, sight, overflows.value_or(0));
}

const ListenerQueue* RuntimeState::queue(const Endpoint& address) const {
  const auto at = queues_.find(address);
  return at == queues_.end() ? nullptr : &at->second;
}

bool RuntimeState::is_slow(const PlannedService& planned) const {
  const ListenerQueue* queue = this->queue(planned.address);
  return queue && queue->is_short(now_ns_);
}

void RuntimeState::note_handovers(const PlannedService& planned, const HandoverCounts& counts) {
  Shortfall& shortfall = shortfalls_[planned.address];
  shortfall.observe(now_ns_, counts, answering(planned).by);
  if (const auto test = tests_.find(planned.address);
      test != tests_.end() && shortfall.doubted_ns() == now_ns_)
    test->second.due_ns = now_ns_;
}

bool RuntimeState::wants_test(const PlannedService& planned) const {
  if (!planned.service->serves() || !listeners_ || answering(planned).by != Answerer::own_cookies)
    return false;
  const auto answer = listeners_->answer(planned.address);
  const auto last = tests_.find(planned.address);
  return answer && answer->answers && (last == tests_.end() || now_ns_ >= last->second.due_ns);
}

void RuntimeState::note_test(const PlannedService& planned, TestResult result,
                             const std::string& interface) {
  std::uint64_t pause_ns = test_every_ns;
  if (result == TestResult::unknown && test_result(planned) != TestResult::unknown)
    pause_ns = settled_ns; // it may have come while the network changed
  else if (result != TestResult::passed && result != TestResult::unknown)
    pause_ns = soon_ns;
  shortfalls_[planned.address].note_test(now_ns_, result, interface);
  tests_[planned.address] = {now_ns_ + pause_ns, result};
}

std::optional<TestResult> RuntimeState::test_result(const PlannedService& planned) const {
  const auto at = tests_.find(planned.address);
  return at == tests_.end() ? std::nullopt : std::optional(at->second.result);
}

void RuntimeState::retry_handovers(const PlannedService& planned, const HandoverCounts& counts) {
  if (auto at = shortfalls_.find(planned.address); at != shortfalls_.end())
    at->second.retry(counts);
  tests_.erase(planned.address);
}

const Shortfall* RuntimeState::shortfall(const PlannedService& planned) const {
  auto at = shortfalls_.find(planned.address);
  return at == shortfalls_.end() ? nullptr : &at->second;
}

ServiceState RuntimeState::of_service(const PlannedService& planned) const {
  ServiceState runtime_state;
  if (listeners_)
    runtime_state.listener = listeners_->answer(planned.address);
  runtime_state.rests = !is_active(planned);
  if (auto found = facts_.find(planned.address); found != facts_.end()) {
    runtime_state.facts = found->second.facts;
    runtime_state.sent_cookie =
        listeners_ && listeners_->answered_ns(planned.address) > found->second.since_ns;
  }
  if (const Shortfall* shortfall = this->shortfall(planned)) {
    runtime_state.at_best = shortfall->at_best();
    runtime_state.shortfall = shortfall->reason();
  }
  if (auto vrf = vrfs_.find(planned.address); vrf != vrfs_.end())
    runtime_state.in_vrf = vrf->second;
  if (auto left = left_ns_.find(planned.address); left != left_ns_.end())
    runtime_state.was_left = now_ns_ < left->second + stack_cookies_ns;
  auto at = told_.find(planned.address);
  if (at != told_.end()) {
    runtime_state.earlier = at->second;
    runtime_state.had_sockets = at->second.flags & TRAP_SERVICE_SOCKETS;
  }
  return runtime_state;
}

MapContents RuntimeState::contents(const ServerPlan& plan) const {
  return make_contents(plan, backends_, host_,
                       [this](const PlannedService& planned) { return of_service(planned); });
}

void RuntimeState::note_written(const ServerPlan& plan, const MapContents& contents) {
  told_.clear();
  for (const PlannedService& planned : plan.services) {
    const trap_service& value = contents.services.at(planned.slot);
    told_[planned.address] = value;
    if (value.flags & TRAP_SERVICE_LEFT)
      left_ns_[planned.address] = now_ns_;
  }
}

bool RuntimeState::offers(const PlannedService& planned) const {
  return planned.service->offer &&
         !backends_.candidates(*planned.service, planned.pools.front()).empty();
}

Answering RuntimeState::answering(const PlannedService& planned) const {
  return choose_answering(of_service(planned), host_, offers(planned));
}

std::set<std::uint16_t> RuntimeState::ports_with_sockets() const {
  std::set<std::uint16_t> ports;
  for (const auto& [address, value] : told_) {
    if (has_sockets_of_ours(value.flags))
      ports.insert(address.port);
  }
  return ports;
}

bool RuntimeState::lets_sockets_appear(const ServerPlan& plan, const MapContents& contents) const {
  return std::any_of(
      plan.services.begin(), plan.services.end(), [&](const PlannedService& planned) {
        auto at = told_.find(planned.address);
        const bool before = at != told_.end() && has_sockets_of_ours(at->second.flags);
        return !before && has_sockets_of_ours(contents.services.at(planned.slot).flags);
      });
}

bool RuntimeState::is_active(const PlannedService& planned) const {
  if (planned.service->activate == Activate::always)
    return true;
  const Activation* activation = this->activation(planned);
  return activation ? activation->active() : was_active(told_, planned.address);
}

const Activation* RuntimeState::activation(const PlannedService& planned) const {
  auto at = activations_.find(planned.address);
  return at == activations_.end() ? nullptr : &at->second;
}

std::string RuntimeState::listener_problem(const PlannedService& planned) const {
  const std::string problem = plain_listener_problem(planned);
  return problem.empty()
             ? ""
             : fmt::format("{}: {}", label(planned.service->name, {planned.address}), problem);
}

std::string RuntimeState::plain_listener_problem(const PlannedService& planned) const {
  const ListenerQueue* queue = this->queue(planned.address);
  if (planned.service->serves() && queue && queue->is_full())
    return queue->problem(now_ns_);
  const std::string problem =
      planned.service->serves() && listeners_ ? listeners_->problem(planned.address) : "";
  if (problem.empty())
    return "";
  return problem + ": start the relay (nginx, HAProxy) or the service there";
}

std::string RuntimeState::answering_problem(const PlannedService& planned) const {
  if (!planned.service->serves())
    return "";
  const Answering answering = this->answering(planned);
  if (answering.reason.empty())
    return "";
  return fmt::format("{}: {}",
                     answering.by == Answerer::stack ? "TRAP leaves it to the stack, unprotected"
                                                     : "its clients get the kernel's cookies",
                     answering.reason);
}

// One that is full is a problem of the listener's.
std::string RuntimeState::queue_problem(const PlannedService& planned) const {
  const ListenerQueue* queue = this->queue(planned.address);
  return planned.service->serves() && queue && !queue->is_full() ? queue->problem(now_ns_) : "";
}

std::string RuntimeState::pool_problem(const PlannedService& planned) const {
  const PlannedPool& pool = planned.pools.front();
  if (pool.members.empty() || !backends_.candidates(*planned.service, pool).empty())
    return "";
  return fmt::format("no backend is usable, clients {}: see trapctl backend list",
                     planned.service->when_down == WhenDown::serve ? "are served here"
                                                                   : "get no answer");
}

// One line for one event, whatever the number of addresses.
std::vector<std::string> RuntimeState::problems(const ServerPlan& plan) const {
  std::vector<std::string> problems;
  if (serves_any(plan))
    problems = problems_of(host_.settings, host_.assigns);
  const std::vector<std::string> own = backends_.problems();
  problems.insert(problems.end(), own.begin(), own.end());
  std::map<std::pair<std::string, std::string>, std::vector<Endpoint>> events;
  for (const PlannedService& planned : plan.services) {
    for (const std::string& problem : {plain_listener_problem(planned), queue_problem(planned),
                                       answering_problem(planned), pool_problem(planned)}) {
      if (!problem.empty())
        events[{planned.service->name, problem}].push_back(planned.address);
    }
  }
  for (const auto& [event, addresses] : events)
    problems.push_back(fmt::format("{}: {}", label(event.first, addresses), event.second));
  return problems;
}

} // namespace trap::server
