// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/report/server_report.h"

#include <algorithm>
#include <cmath>

#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"
#include "server/daemon/report/readiness.h"
#include "server/daemon/report/top_talkers.h"

namespace trap::server {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t talkers_shown = 10;

ordered_json backends_json(const RunningServer& server, const PlannedService& planned) {
  const BackendAvailability& backends = server.runtime_state.backends();
  auto listed = ordered_json::array();
  const bool is_v4 = family_of(planned.address.address) == TRAP_IPV4;
  for (const PlannedPool& pool : planned.pools) {
    if (pool.tag)
      continue; // the same backends once more
    for (const PoolMember& member : pool.members) {
      const BackendConfig& backend = *member.backend;
      ordered_json json = {
          {"address", format_endpoint(backend.endpoint)},
          {"guard", backend.guard},
          {"weight", backend.weight},
          {"pool", backend.pool},
          {"scope", is_v4 ? backend.scope_v4 : backend.scope_v6},
          {"tag", backend.tag},
          {"ticket", ticket_result_name(server.ticket_check.result(
                         server.active->plan.backends.at(member.index).value))},
          {"state", backend_state_name(backends.state(*planned.service, backend))},
          {"health", backends.health(*planned.service, backend)},
          {"share_percent",
           std::round(1000 * backends.share(*planned.service, pool, member)) / 10}};
      if (std::string error = backends.health_error(backend); !error.empty())
        json["health_error"] = error;
      json["announcements"] =
          hearing_name(server.hearing.hearing(planned.announces_from, backend.endpoint));
      listed.push_back(std::move(json));
    }
  }
  return listed;
}

ordered_json policies_json(const PlannedService& planned) {
  std::size_t counts[3] = {};
  std::size_t tagged = 0;
  const PolicyConfig& policies = *planned.service->policies;
  for (const PolicyEntry& entry : policies.entries) {
    if (entry.prefix.family() != family_of(planned.address.address))
      continue;
    const PolicyRule& rule = policies.rules[entry.rule];
    counts[static_cast<std::size_t>(rule.action)]++;
    tagged += rule.own_tag() ? 1 : 0;
  }
  return {{"deny", counts[static_cast<std::size_t>(PolicyAction::deny)]},
          {"serve", counts[static_cast<std::size_t>(PolicyAction::serve)]},
          {"pool", counts[static_cast<std::size_t>(PolicyAction::pool)]},
          {"tagged", tagged}};
}

ordered_json listener_json(const RuntimeState& runtime_state, const PlannedService& planned) {
  if (!planned.service->serves())
    return nullptr;
  const std::string problem = runtime_state.listener_problem(planned);
  return problem.empty() ? "ok" : problem;
}

ordered_json queue_json(const ListenerQueue& queue, bool is_slow) {
  return {{"room", queue.room()}, {"full", is_slow}, {"overflows", queue.overflows()}};
}

ordered_json handovers_json(const Assigner& assigner, const PlannedService& planned) {
  auto json = ordered_json::object();
  const auto counts = assigner.counts(planned.slot);
  for (std::size_t result = 0; result < counts.size(); result++) {
    if (counts[result] != 0)
      json[assignment_name(result)] = counts[result];
  }
  return json;
}

ordered_json samples_json(const HandoverSampler& sampler, const PlannedService& planned) {
  const SampleCounts counts = total(sampler.samples(planned.address));
  return {{"arrived", counts.arrived}, {"lost", counts.lost}};
}

const char* test_name(TestResult result) {
  switch (result) {
  case TestResult::passed:
    return "passed";
  case TestResult::unanswered:
  case TestResult::unknown:
    return "unknown";
  default:
    return "lost";
  }
}

void add_answering(ordered_json& json, const RuntimeState& runtime_state,
                   const PlannedService& planned) {
  const Answering answering = runtime_state.answering(planned);
  json["cookies"] = answerer_name(answering.by);
  if (!answering.reason.empty())
    json["cookies_reason"] = answering.reason;
}

ordered_json service_json(const RunningServer& server, const PlannedService& planned,
                          const VerdictCounts& counts) {
  const RuntimeState& runtime_state = server.runtime_state;
  ordered_json json = {
      {"name", planned.service->name},
      {"address", format_endpoint(planned.address)},
      {"unaware", planned.service->serves() ? "serve" : "reset"},
      {"when_down", planned.service->when_down == WhenDown::serve ? "serve" : "silence"},
      {"activate", planned.service->activate == Activate::attack ? "attack" : "always"},
      {"active", runtime_state.is_active(planned)},
      {"listener", listener_json(runtime_state, planned)},
      {"offer", planned.service->offer},
      {"backends", backends_json(server, planned)},
      {"policies", policies_json(planned)},
      {"bytes", bytes_json(counts)},
      {"counters", counters_json(counts)}};
  if (planned.service->serves()) {
    add_answering(json, runtime_state, planned);
    json["handovers"] = handovers_json(server.assigner, planned);
    if (const ListenerQueue* queue = runtime_state.queue(planned.address))
      json["listener_queue"] = queue_json(*queue, runtime_state.is_slow(planned));
    json["handover_samples"] = samples_json(server.sampler, planned);
    if (const auto result = runtime_state.test_result(planned))
      json["self_test"] = test_name(*result);
    else if (runtime_state.answering(planned).by == Answerer::own_cookies)
      json["self_test"] = "untested";
  }
  if (const Activation* activation = runtime_state.activation(planned))
    json["attack"] = {{"syns_per_s", std::round(activation->syns_per_s())},
                      {"incomplete_percent", std::round(activation->incomplete_percent())},
                      {"reason", activation->reason()}};
  return json;
}

ordered_json server_interfaces_json(const RunningServer& server) {
  const std::vector<XdpState> states = interface_states(server);
  ordered_json interfaces = interfaces_json(states);
  for (std::size_t i = 0; i < states.size(); i++)
    add_programs_before(interfaces[i], tc_programs_before(server, states[i].interface));
  return interfaces;
}

ordered_json talkers_json(int clients_fd) {
  auto json = ordered_json::array();
  for (const Talker& talker : top_talkers(clients_fd, talkers_shown))
    json.push_back({{"client", format_talker(talker)}, {"handshakes", talker.handshakes}});
  return json;
}

ordered_json budget_json(const BudgetConfig& budget) {
  return {{"client_handshakes_per_s", budget.client_handshakes_per_s},
          {"network_handshakes_per_s", budget.network_handshakes_per_s},
          {"syn_acks_per_s", budget.syn_acks_per_s},
          {"resets_per_s", budget.resets_per_s}};
}

// What holds for every service.
ReadinessFacts host_facts(const RunningServer& server) {
  const std::vector<XdpState> states = interface_states(server);
  trap_key key;
  ReadinessFacts facts;
  facts.attached = std::ranges::any_of(
      states, [](const XdpState& state) { return state.index != 0 && state.ours; });
  facts.has_key = trap_keyring_find(&server.settings->cookie_keys,
                                    trap_epoch(read_clocks().unix_ns), &key) != 0;
  return facts;
}

ReadinessFacts with_service(ReadinessFacts facts, const RunningServer& server,
                            const PlannedService& planned) {
  const PlannedPool& usual = planned.pools.front();
  facts.serves = planned.service->serves();
  facts.serves_when_down = planned.service->when_down == WhenDown::serve;
  facts.backends = usual.members.size();
  facts.usable_backends =
      server.runtime_state.backends().candidates(*planned.service, usual).size();
  if (facts.serves)
    facts.listener_problem = server.runtime_state.listener_problem(planned);
  return facts;
}

} // namespace

std::vector<Readiness> readiness_of(const RunningServer& server) {
  const ReadinessFacts host = host_facts(server);
  std::vector<Readiness> found;
  for (const PlannedService& planned : server.active->plan.services) {
    const ReadinessFacts facts = with_service(host, server, planned);
    found.push_back(
        {planned.service->name, format_endpoint(planned.address), "", unready_reason(facts)});
    if (found.back().ready())
      found.back().leads_to = led_to(facts);
  }
  return found;
}

void describe_server(const RunningServer& server, ordered_json& status) {
  const ServerMaps& maps = *server.maps;
  status["interfaces"] = server_interfaces_json(server);
  status["uncovered"] = uncovered_json(uncovered_ways(server));
  CounterReader counters(maps.fds().counters);
  VerdictCounts sum = counters.read(0);
  auto services = ordered_json::array();
  for (const PlannedService& planned : server.active->plan.services) {
    VerdictCounts counts = counters.read(planned.slot);
    add_counts(sum, counts);
    services.push_back(service_json(server, planned, counts));
  }
  // The cookies of services that serve.
  status["cookies"] = server.runtime_state.assigns() ? "own" : "kernel";
  status["services"] = services;
  status["counters"] = counters_json(sum);
  status["bytes"] = bytes_json(sum);
  status["budget"] = budget_json(server.active->config.budget);
  status["top_talkers"] = talkers_json(maps.fds().clients);
  status["keys"] = keys_json(server.settings->cookie_keys);
  const AnnounceCounts& announced = server.announcer->counts();
  status["announcements"] = {{"sent", announced.sent},
                             {"deduplicated", announced.deduplicated},
                             {"rate_limited", announced.rate_limited},
                             {"failed", announced.failed}};
  status["own_macs"] = {{"count", server.own_macs.count()}, {"known", server.own_macs.are_known()}};
  status["known_connections"] = {{"count", server.known->count()},
                                 {"trusted", server.known->trusted(read_clocks().monotonic_ns)}};
}

} // namespace trap::server
