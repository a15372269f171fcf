// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "client/daemon/redirects/held_redirects.h"
#include "client/daemon/report/client_report.h"
#include "runtime/control/metrics_common.h"
#include "runtime/keys/clock_writer.h"

namespace trap::client {
namespace {

struct BackendSums {
  std::uint64_t redirects = 0;
  std::uint64_t connections = 0;
  std::uint64_t unticketed = 0;
};

// A router has as many redirects as hosts behind it: the series are those of service and backend.
void measure_redirects(Metrics& metrics, const std::vector<HeldRedirect>& held) {
  std::map<std::pair<Endpoint, Endpoint>, BackendSums> sums;
  std::size_t from_reset = 0;
  for (const HeldRedirect& redirect : held) {
    BackendSums& sum = sums[{redirect.service, redirect.backend}];
    sum.redirects++;
    sum.connections += redirect.connections;
    sum.unticketed += redirect.unticketed;
    from_reset += redirect.from_reset;
  }
  const std::string part = "client";
  metrics.gauge("trap_redirects_held", "Redirects that still hold", {{"part", part}},
                static_cast<double>(held.size()));
  metrics.gauge("trap_redirects_from_reset",
                "Of them: those learnt from a reset that reached the application", {{"part", part}},
                static_cast<double>(from_reset));
  for (const auto& [route, sum] : sums) {
    const Labels labels = {{"part", part},
                           {"service", format_endpoint(route.first)},
                           {"backend", format_endpoint(route.second)}};
    metrics.gauge("trap_redirects_to_backend", "Redirects that still hold, by service and backend",
                  labels, static_cast<double>(sum.redirects));
    metrics.gauge("trap_redirected_connections",
                  "Connections in the client's table; ended ones stay until their room is needed",
                  labels, static_cast<double>(sum.connections));
    metrics.gauge("trap_redirected_connections_unticketed",
                  "Of them: those whose SYNs with the ticket stayed unanswered", labels,
                  static_cast<double>(sum.unticketed));
  }
}

} // namespace

void measure_client(const RunningClient& client, Metrics& metrics) {
  const std::string& part = client.active->config.part.part;
  measure_packets(metrics, {part, "", ""}, CounterReader(client.fds.counters).read(0));
  for (const PlannedInterface& interface : client.plan.interfaces) {
    const Attachments::State state = client.attachments.state_of(interface);
    measure_interface(metrics, part, interface.name, state.attached);
    for (const std::string& program : state.before)
      metrics.gauge("trap_tc_programs_before",
                    "1 for each program of another owner that runs before ours at tc",
                    {{"part", part}, {"interface", interface.name}, {"program", program}}, 1);
  }
  for (const std::string& name : client.plan.missing)
    measure_interface(metrics, part, name, false);
  measure_redirects(metrics, read_redirects(client.fds.redirects, client.fds.to_backend,
                                            read_clocks().monotonic_ns));
  const auto fallbacks = read_fallbacks(client.fds.fallbacks, read_clocks().monotonic_ns);
  metrics.gauge("trap_services_unconsented",
                "Services, by local address, whose redirect's target answered without CONSENT "
                "within ten minutes",
                {{"part", part}},
                static_cast<double>(std::ranges::count_if(fallbacks, [](const HeldFallback& held) {
                  return held.unconsented.has_value();
                })));
  constexpr char renewals_help[] =
      "Renewals of redirects in use: SYNs sent, redirects that came, redirects that ended without";
  const RenewalCounts& renewals = client.renewer.counts();
  for (const auto& [result, count] :
       {std::pair{"sent", renewals.sent}, std::pair{"renewed", renewals.renewed},
        std::pair{"failed", renewals.failed}})
    metrics.counter("trap_renewals_total", renewals_help, {{"part", part}, {"result", result}},
                    static_cast<double>(count));
  metrics.counter("trap_redirects_flushed_total", "Redirects that were forgotten by command",
                  {{"part", part}}, static_cast<double>(client.redirects_flushed));
}

} // namespace trap::client
