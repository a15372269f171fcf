// SPDX-License-Identifier: Apache-2.0
// trap-guard's families of GET /metrics.
#include <fmt/core.h>

#include "guard/daemon/guard_part.h"
#include "runtime/clock_writer.h"
#include "runtime/metrics_common.h"

namespace trap::guard {

void GuardPart::measure(Metrics& metrics) {
  const std::string& part = config_.part.part;
  const trap_clock_anchor now = read_clocks();
  CounterReader counters(fds_.counters);
  measure_packets(metrics, {part, "", ""}, counters.read(0));
  for (const ServiceConfig& service : config_.services)
    measure_packets(metrics, {part, service.name, fmt::format("*:{}", service.port)}, counters.read(slots_.at(service.port)));
  measure_interfaces(metrics, part, attachments_.states());
  measure_keys(metrics, part, settings_->ticket_keys);
  metrics.gauge("trap_announced_clients", "Clients whose announcement still holds", {{"part", part}},
                static_cast<double>(count_announced(fds_.announced, static_cast<std::uint32_t>(now.unix_s))));
  metrics.gauge("trap_flows", "Admitted connections that were heard of within the last hour", {{"part", part}},
                static_cast<double>(count_flows(fds_.flows, now.monotonic_ns)));
}

} // namespace trap::guard
