// SPDX-License-Identifier: Apache-2.0
// trap-guard's answer to GET /status. Apart from guard_part.cpp because JSON is slow to compile.
#include "guard/daemon/guard_part.h"
#include "runtime/clock_writer.h"
#include "runtime/status_json.h"

namespace trap::guard {

using nlohmann::ordered_json;

void GuardPart::describe(ordered_json& status, std::vector<std::string>& problems) {
  const trap_clock_anchor now = read_clocks();
  status["guard"] = key_.name;
  status["interfaces"] = interfaces_json(attachments_.states(), problems);
  CounterReader counters(fds_.counters);
  VerdictCounts sum = counters.read(0);
  auto services = ordered_json::array();
  for (const ServiceConfig& service : config_.services) {
    VerdictCounts counts = counters.read(slots_.at(service.port));
    add_counts(sum, counts);
    services.push_back({{"name", service.name}, {"port", service.port}, {"counters", counters_json(counts)}});
  }
  status["services"] = services;
  auto trap_servers = ordered_json::array();
  for (const trap_address& address : config_.trap_servers)
    trap_servers.push_back(format_address(address));
  status["trap_servers"] = trap_servers;
  auto trusted = ordered_json::array();
  for (const Prefix& prefix : config_.trusted)
    trusted.push_back(format_prefix(prefix));
  status["trusted"] = trusted;
  status["counters"] = counters_json(sum);
  status["keys"] = keys_json(settings_->ticket_keys, problems);
  status["announced"] = count_announced(fds_.announced, static_cast<std::uint32_t>(now.unix_s));
  status["flows"] = count_flows(fds_.flows, now.monotonic_ns);
}

} // namespace trap::guard
