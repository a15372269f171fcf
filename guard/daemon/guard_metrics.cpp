// SPDX-License-Identifier: Apache-2.0
// trap-guard's families of GET /metrics.
#include <fmt/core.h>

#include "guard/daemon/guard_part.h"
#include "runtime/control/metrics_common.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {

void GuardPart::measure(Metrics& metrics) {
  const std::string& part = config_.part.part;
  const trap_clock_anchor now = read_clocks();
  CounterReader counters(fds_.counters);
  CounterReader monitored(fds_.monitored);
  measure_packets(metrics, {part, "", ""}, counters.read(0));
  measure_monitored(metrics, {part, "", ""}, monitored.read(0));
  for (const ServiceConfig& service : config_.services) {
    const MeasuredService where = {part, service.name, fmt::format("*:{}", service.port)};
    measure_packets(metrics, where, counters.read(slots_.at(service.port)));
    measure_monitored(metrics, where, monitored.read(slots_.at(service.port)));
  }
  measure_interfaces(metrics, part, attachments_.states());
  measure_keys(metrics, part, settings_->ticket_keys);
  const Enforcement enforcement = enforcement_of(*settings_, now.monotonic_ns);
  metrics.gauge("trap_enforcing", "1 if what is refused is dropped, 0 if it is only counted",
                {{"part", part}}, enforcement.mode == Mode::enforce ? 1 : 0);
  metrics.gauge("trap_confirm_seconds_left",
                "Until the guard goes back to monitoring unless somebody confirms; 0: nothing is "
                "to be confirmed",
                {{"part", part}}, static_cast<double>(enforcement.confirm_within_s.value_or(0)));
  metrics.gauge("trap_announced_clients", "Clients whose announcement still holds",
                {{"part", part}},
                static_cast<double>(
                    count_announced(announced_.values(), static_cast<std::uint32_t>(now.unix_s))));
  metrics.gauge(
      "trap_flows", "Connections to protected ports that were heard of within the last hour",
      {{"part", part}}, static_cast<double>(count_flows(flows_.values(), now.monotonic_ns)));
  metrics.gauge("trap_admitted_clients",
                "Clients whose budgets are kept, as of the last ten seconds", {{"part", part}},
                static_cast<double>(clients_));
  metrics.gauge("trap_suspects",
                "Sources that were named, now and then, while the guard only monitored",
                {{"part", part}}, static_cast<double>(suspects_.size()));
  measure_trap_servers(metrics);
}

void GuardPart::measure_trap_servers(Metrics& metrics) {
  for (const trap_address& address : config_.trap_servers) {
    const trap_guard_peer peer = read_peer(fds_, address);
    const Labels labels = {{"part", config_.part.part}, {"trap_server", format_address(address)}};
    metrics.counter("trap_announcements_accepted_total",
                    "Announcements of a TRAP server that were right", labels,
                    static_cast<double>(peer.announcements));
    metrics.gauge("trap_trap_server_heard_seconds",
                  "Unix time of a TRAP server's last right announcement; 0: none yet", labels,
                  peer.heard_s);
    metrics.gauge("trap_clock_skew_seconds",
                  "How far ahead of this host a TRAP server's clock was when it was last heard",
                  labels, peer.skew_s);
  }
}

} // namespace trap::guard
