// SPDX-License-Identifier: Apache-2.0
// trap-guard's answer to GET /status. Apart from guard_part.cpp because JSON is slow to compile.
#include "guard/daemon/guard_part.h"
#include "runtime/control/status_json.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {

using nlohmann::ordered_json;

ordered_json GuardPart::enforcement_json() {
  const Enforcement enforcement = enforcement_of(*settings_, read_clocks().monotonic_ns);
  ordered_json json = {{"mode", mode_name(enforcement.mode)},
                       {"configured_mode", mode_name(config_.mode)}};
  if (enforcement.confirm_within_s)
    json["confirm_within_s"] = *enforcement.confirm_within_s;
  return json;
}

ordered_json GuardPart::services_json(VerdictCounts& counted, VerdictCounts& monitored) {
  CounterReader counters(fds_.counters);
  CounterReader monitors(fds_.monitored);
  counted = counters.read(0);
  monitored = monitors.read(0);
  auto services = ordered_json::array();
  for (const ServiceConfig& service : config_.services) {
    const VerdictCounts counts = counters.read(slots_.at(service.port));
    const VerdictCounts passed = monitors.read(slots_.at(service.port));
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

// `clock`: seconds ahead of this host's.
ordered_json GuardPart::trap_servers_json() {
  auto trap_servers = ordered_json::array();
  for (const trap_address& address : config_.trap_servers) {
    const trap_guard_peer peer = read_peer(fds_, address);
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

void GuardPart::describe(ordered_json& status, std::vector<std::string>& problems) {
  const trap_clock_anchor now = read_clocks();
  status["guard"] = key_.name;
  status.update(enforcement_json());
  if (status["mode"] == "monitor" && config_.mode == Mode::enforce)
    problems.emplace_back(
        ran_out_ ? "monitors, because nobody confirmed in time: nothing is dropped: trapctl guard "
                   "enforce, and then confirm"
                 : "monitors by command: nothing is dropped: trapctl guard enforce ends it");
  status["interfaces"] = interfaces_json(attachments_.states(), problems);
  VerdictCounts counted, monitored;
  status["services"] = services_json(counted, monitored);
  status["trap_servers"] = trap_servers_json();
  auto trusted = ordered_json::array();
  for (const Prefix& prefix : config_.trusted)
    trusted.push_back(format_prefix(prefix));
  status["trusted"] = trusted;
  status["counters"] = counters_json(counted);
  status["monitored"] = counters_json(monitored);
  status["suspects"] = suspects_.size();
  status["keys"] = keys_json(settings_->ticket_keys, problems);
  status["clients"] = clients_;
  status["announced"] =
      count_announced(announced_.values(), static_cast<std::uint32_t>(now.unix_s));
  status["flows"] = count_flows(flows_.values(), now.monotonic_ns);
}

} // namespace trap::guard
