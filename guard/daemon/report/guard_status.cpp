// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/report/guard_report.h"
#include "guard/daemon/running/guard_commands.h"
#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {

using nlohmann::ordered_json;

namespace {

ordered_json services_json(const RunningGuard& guard, VerdictCounts& counted,
                           VerdictCounts& monitored) {
  CounterReader counters(guard.fds.counters);
  CounterReader monitors(guard.fds.monitored);
  counted = counters.read(0);
  monitored = monitors.read(0);
  auto services = ordered_json::array();
  for (const ServiceConfig& service : guard.active->config.services) {
    const VerdictCounts counts = counters.read(guard.active->slots.at(service.port));
    const VerdictCounts passed = monitors.read(guard.active->slots.at(service.port));
    add_counts(counted, counts);
    add_counts(monitored, passed);
    services.push_back({{"name", service.name},
                        {"port", service.port},
                        {"scope_v4", service.scope_v4},
                        {"scope_v6", service.scope_v6},
                        {"sockets", service.sockets_here ? "host" : "elsewhere"},
                        {"counters", counters_json(counts)},
                        {"monitored", counters_json(passed)}});
  }
  return services;
}

ordered_json guard_interfaces_json(const RunningGuard& guard) {
  const std::vector<XdpState> states = guard.attachments.states();
  ordered_json interfaces = interfaces_json(states);
  for (std::size_t i = 0; i < states.size(); i++) {
    const EgressFilters::State egress = guard.egress.state_of(states[i].index);
    interfaces[i]["egress_program_id"] = egress.program_id;
    add_programs_before(interfaces[i], egress.before);
  }
  return interfaces;
}

// `clock`: seconds ahead of this host's.
ordered_json trap_servers_json(const RunningGuard& guard) {
  auto trap_servers = ordered_json::array();
  for (const trap_address& address : guard.active->config.trap_servers) {
    const trap_guard_peer peer = read_peer(guard.fds, address);
    ordered_json entry = {{"address", format_address(address)},
                          {"announcements", peer.announcements},
                          {"heard", nullptr},
                          {"clock", nullptr}};
    if (peer.heard_s != 0) {
      entry["heard"] = peer.heard_s;
      entry["clock"] = peer.skew_s;
    }
    trap_servers.push_back(entry);
  }
  return trap_servers;
}

ordered_json pools_json(const std::vector<PoolConfig>& pools) {
  auto described = ordered_json::array();
  for (const PoolConfig& pool : pools) {
    auto addresses = ordered_json::array();
    for (const Prefix& prefix : pool.addresses)
      addresses.push_back(format_prefix(prefix));
    described.push_back({{"name", pool.name}, {"addresses", addresses}, {"tags", pool.tags}});
  }
  return described;
}

} // namespace

void describe_guard(const RunningGuard& guard, ordered_json& status) {
  const trap_clock_anchor now = read_clocks();
  status["guard"] = guard.active->key.name;
  status.update(enforcement_json(guard));
  status["interfaces"] = guard_interfaces_json(guard);
  status["uncovered"] = uncovered_json(guard.attachments.uncovered());
  VerdictCounts counted, monitored;
  status["services"] = services_json(guard, counted, monitored);
  status["trap_servers"] = trap_servers_json(guard);
  auto trusted = ordered_json::array();
  for (const Prefix& prefix : guard.active->config.trusted)
    trusted.push_back(format_prefix(prefix));
  status["trusted"] = trusted;
  status["pools"] = pools_json(guard.active->config.pools);
  status["counters"] = counters_json(counted);
  status["monitored"] = counters_json(monitored);
  status["suspects"] = guard.suspects.size();
  status["keys"] = keys_json(guard.settings->ticket_keys);
  status["clients"] = guard.clients;
  status["announced"] =
      count_announced(guard.announced.values(), static_cast<std::uint32_t>(now.unix_s));
  const FlowCounts flows =
      count_flows(guard.flows.values(), guard.half_open.values(), now.monotonic_ns);
  status["flows"] = flows.all();
  status["flow_states"] = {{"half_open", flows.half_open},
                           {"established", flows.established},
                           {"closing", flows.closing}};
}

} // namespace trap::guard
