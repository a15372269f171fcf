// SPDX-License-Identifier: Apache-2.0
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "guard/daemon/report/guard_report.h"
#include "runtime/control/metrics_common.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/nanoseconds.h"

namespace trap::guard {
namespace {

void measure_trap_servers(const RunningGuard& guard, Metrics& metrics) {
  for (const trap_address& address : guard.active->config.trap_servers) {
    const trap_guard_peer peer = read_peer(guard.fds, address);
    const Labels labels = {{"part", guard.active->config.part.part},
                           {"trap_server", format_address(address)}};
    metrics.counter("trap_announcements_accepted_total", "Accepted announcements of a TRAP server",
                    labels, static_cast<double>(peer.announcements));
    metrics.gauge("trap_announcement_heard_timestamp_seconds",
                  "Unix time of a TRAP server's last accepted announcement; 0 if there was none",
                  labels, peer.heard_s);
    metrics.gauge("trap_clock_skew_seconds",
                  "How far ahead of this host a TRAP server's clock was when it was last heard",
                  labels, peer.skew_s);
  }
}

void measure_flows(const RunningGuard& guard, Metrics& metrics, std::uint64_t monotonic_ns) {
  const std::string& part = guard.active->config.part.part;
  const FlowCounts flows =
      count_flows(guard.flows.values(), guard.half_open.values(), monotonic_ns);
  metrics.gauge("trap_flows",
                "Connections to protected ports that were heard of within the last hour",
                {{"part", part}}, static_cast<double>(flows.all()));
  for (const auto& [state, count] : {std::pair{"half_open", flows.half_open},
                                     {"established", flows.established},
                                     {"closing", flows.closing}})
    metrics.gauge("trap_flows_in_state", "The same by state: half_open, established or closing",
                  {{"part", part}, {"state", state}}, static_cast<double>(count));
}

} // namespace

void measure_guard(const RunningGuard& guard, Metrics& metrics) {
  const std::string& part = guard.active->config.part.part;
  const trap_clock_anchor now = read_clocks();
  CounterReader counters(guard.fds.counters);
  CounterReader monitored(guard.fds.monitored);
  measure_packets(metrics, {part, "", ""}, counters.read(0));
  measure_monitored(metrics, {part, "", ""}, monitored.read(0));
  for (const ServiceConfig& service : guard.active->config.services) {
    const MeasuredService where = {part, service.name, fmt::format("*:{}", service.port)};
    measure_packets(metrics, where, counters.read(guard.active->slots.at(service.port)));
    measure_monitored(metrics, where, monitored.read(guard.active->slots.at(service.port)));
  }
  for (const XdpState& state : guard.attachments.states())
    measure_interface(metrics, part, state.interface,
                      state.index != 0 && state.ours &&
                          guard.egress.state_of(state.index).attached);
  measure_uncovered(metrics, part, guard.attachments.uncovered(),
                    guard.active->config.accepts_uncovered);
  measure_keys(metrics, part, guard.settings->ticket_keys);
  const Enforcement enforcement = enforcement_of(*guard.settings, now.monotonic_ns);
  metrics.gauge("trap_enforcing", "1 if what is refused is dropped, 0 if it is only counted",
                {{"part", part}}, enforcement.mode == Mode::enforce ? 1 : 0);
  metrics.gauge("trap_confirm_left_seconds",
                "Seconds until an unconfirmed trial of enforcing reverts to monitoring; 0 if none "
                "is running",
                {{"part", part}}, static_cast<double>(enforcement.confirm_within_s.value_or(0)));
  metrics.gauge("trap_announced_clients", "Clients whose announcement still holds",
                {{"part", part}},
                static_cast<double>(count_announced(guard.announced.values(),
                                                    static_cast<std::uint32_t>(now.unix_s))));
  measure_flows(guard, metrics, now.monotonic_ns);
  metrics.gauge("trap_admitted_clients",
                "Clients whose budgets are kept, as of the last ten seconds", {{"part", part}},
                static_cast<double>(guard.clients));
  metrics.counter("trap_answers_unseen_total",
                  "Connections with budgets that opened, or were reset by their client, without "
                  "their SYN-ACK being seen, as of the last ten seconds",
                  {{"part", part}}, static_cast<double>(guard.unseen.total()));
  metrics.gauge("trap_suspects",
                "Sources that were named, now and then, while the guard only monitored",
                {{"part", part}}, static_cast<double>(guard.suspects.size()));
  measure_trap_servers(guard, metrics);
}

std::string parting_words_of(const RunningGuard& guard) {
  const std::uint64_t end_ns = keys_end_unix_ns(guard.settings->ticket_keys, read_clocks().unix_ns);
  if (end_ns == 0)
    return ", without a key for the present time";
  return fmt::format(", with keys until {:%Y-%m-%d %H:%M:%S} UTC; then {}",
                     fmt::gmtime(static_cast<std::time_t>(end_ns / ns_per_s)),
                     guard.active->config.stale_drops ? "nothing passes to the protected ports"
                                                      : "only established connections go on");
}

} // namespace trap::guard
