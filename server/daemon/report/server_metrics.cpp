// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/report/server_report.h"

#include <set>

#include "runtime/control/metrics_common.h"
#include "runtime/keys/clock_writer.h"

namespace trap::server {
namespace {

void measure_backends(Metrics& metrics, const BackendAvailability& backends,
                      const PlannedService& planned) {
  const std::string address = format_endpoint(planned.address);
  for (const PlannedPool& pool : planned.pools) {
    if (pool.tag)
      continue; // the same backends once more
    for (const PoolMember& member : pool.members)
      metrics.gauge("trap_backend_share",
                    "Share of the pool's clients that this backend gets, 0 to 1",
                    {{"part", "server"},
                     {"service", planned.service->name},
                     {"address", address},
                     {"pool", pool.name},
                     {"backend", format_endpoint(member.backend->endpoint)}},
                    backends.share(*planned.service, pool, member));
  }
}

// One series for each backend of a service, even if several pools name it.
void measure_states(Metrics& metrics, const BackendAvailability& backends,
                    const ServiceConfig& service) {
  std::set<Endpoint> done;
  for (const BackendConfig& backend : service.backends) {
    if (!done.insert(backend.endpoint).second)
      continue;
    const Labels labels = {{"part", "server"},
                           {"service", service.name},
                           {"backend", format_endpoint(backend.endpoint)}};
    const std::string health = backends.health(service, backend);
    metrics.gauge(
        "trap_backend_up",
        "0 if the backend does not answer health checks; one whose health is unknown counts as up",
        labels, health == "down" ? 0 : 1);
    for (const BackendState state :
         {BackendState::active, BackendState::draining, BackendState::down}) {
      Labels with_state = labels;
      with_state.emplace_back("state", backend_state_name(state));
      metrics.gauge("trap_backend_state", "1 for the state the backend is in", with_state,
                    backends.state(service, backend) == state ? 1 : 0);
    }
  }
}

void measure_service(Metrics& metrics, const RuntimeState& runtime_state,
                     const PlannedService& planned) {
  const Labels labels = {{"part", "server"},
                         {"service", planned.service->name},
                         {"address", format_endpoint(planned.address)}};
  metrics.gauge(
      "trap_service_active",
      "1 if TRAP answers, 0 if it leaves the service to the stack because there is no attack",
      labels, runtime_state.is_active(planned) ? 1 : 0);
  if (!planned.service->serves())
    return;
  metrics.gauge("trap_listener_up",
                "0 if no listener takes the connections of clients that are served", labels,
                runtime_state.listener_problem(planned).empty() ? 1 : 0);
  metrics.gauge(
      "trap_listener_queue_full",
      "1 if the queue of the service's listener is full, or was within the last minute so "
      "that handshakes were dropped: the service itself is too slow",
      labels, runtime_state.is_slow(planned) ? 1 : 0);
  const ListenerQueue* queue = runtime_state.queue(planned.address);
  metrics.counter("trap_listener_overflows_total",
                  "Handshakes that the service's listener dropped because its queue was full, as "
                  "far as they were seen",
                  labels, queue ? static_cast<double>(queue->overflows()) : 0);
  const Shortfall* shortfall = runtime_state.shortfall(planned);
  metrics.gauge("trap_handover_shortfall",
                "1 if this host loses handshakes that TRAP completes: the service is answered in "
                "another way",
                labels, shortfall && !shortfall->reason().empty() ? 1 : 0);
}

void measure_losses(Metrics& metrics, const RunningServer& server) {
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  for (const std::string& interface : attached_interfaces(server))
    metrics.gauge("trap_answers_lost",
                  "1 if the interface's driver sends hardly any answer of XDP's; if no interface "
                  "sends them, the stack answers",
                  {{"part", "server"}, {"interface", interface}},
                  server.answer_losses.loses_all(interface, now_ns) ? 1 : 0);
  metrics.gauge("trap_return_ways_differ",
                "Groups of clients whose route differs, in a way that answers cannot follow, from "
                "where their frames come from or from the default route",
                {{"part", "server"}},
                static_cast<double>(server.return_ways.problems(now_ns).size()));
}

void measure_readiness(Metrics& metrics, const RunningServer& server) {
  for (const Readiness& each : readiness_of(server))
    metrics.gauge(
        "trap_service_ready",
        "1 if a handshake can complete now and lead somewhere; trapctl ready says why not",
        {{"part", "server"}, {"service", each.service}, {"address", each.address}},
        each.ready() ? 1 : 0);
}

void measure_handovers(Metrics& metrics, const Assigner& assigner, const PlannedService& planned) {
  if (!planned.service->serves())
    return;
  const AssignmentCounts counts = assigner.counts(planned.slot);
  for (std::size_t result = 0; result < counts.size(); result++)
    metrics.counter("trap_handovers_total",
                    "Handshakes of served clients that were handed to the stack, by what became "
                    "of them there",
                    {{"part", "server"},
                     {"service", planned.service->name},
                     {"address", format_endpoint(planned.address)},
                     {"result", assignment_name(result)}},
                    static_cast<double>(counts[result]));
}

void measure_samples(Metrics& metrics, const HandoverSampler& sampler,
                     const PlannedService& planned) {
  if (!planned.service->serves())
    return;
  const SampleCounts counts = total(sampler.samples(planned.address));
  const std::pair<const char*, std::uint64_t> results[] = {{"arrived", counts.arrived},
                                                           {"lost", counts.lost}};
  for (const auto& [result, count] : results)
    metrics.counter("trap_handover_samples_total",
                    "A sample of the handshakes that went up to the stack, by whether it made "
                    "connections of them",
                    {{"part", "server"},
                     {"service", planned.service->name},
                     {"address", format_endpoint(planned.address)},
                     {"result", result}},
                    static_cast<double>(count));
}

// A series for each public address and backend whose announcements were checked.
void measure_hearing(Metrics& metrics, const HearingChecks& checks, const PlannedService& planned) {
  std::set<Endpoint> done;
  for (const PlannedPool& pool : planned.pools) {
    for (const PoolMember& member : pool.members) {
      const Endpoint& backend = member.backend->endpoint;
      const Hearing hearing = checks.hearing(planned.announces_from, backend);
      if (hearing == Hearing::unknown || !done.insert(backend).second)
        continue;
      metrics.gauge("trap_announcements_heard",
                    "0 if a backend's guard does not let in what the server announces to it",
                    {{"part", "server"},
                     {"service", planned.service->name},
                     {"address", format_endpoint(planned.address)},
                     {"backend", format_endpoint(backend)}},
                    hearing == Hearing::heard ? 1 : 0);
    }
  }
}

void measure_announcements(Metrics& metrics, const AnnounceCounts& counts) {
  const std::pair<const char*, std::uint64_t> results[] = {{"sent", counts.sent},
                                                           {"deduplicated", counts.deduplicated},
                                                           {"rate_limited", counts.rate_limited},
                                                           {"failed", counts.failed}};
  for (const auto& [result, count] : results)
    metrics.counter("trap_announcements_total", "Announcements of clients to guards",
                    {{"part", "server"}, {"result", result}}, static_cast<double>(count));
}

} // namespace

void measure_server(const RunningServer& server, Metrics& metrics) {
  CounterReader counters(server.maps->fds().counters);
  const BackendAvailability& backends = server.runtime_state.backends();
  measure_packets(metrics, {"server", "", ""}, counters.read(0));
  for (const PlannedService& planned : server.active->plan.services) {
    measure_packets(metrics, {"server", planned.service->name, format_endpoint(planned.address)},
                    counters.read(planned.slot));
    measure_service(metrics, server.runtime_state, planned);
    measure_handovers(metrics, server.assigner, planned);
    measure_samples(metrics, server.sampler, planned);
    measure_backends(metrics, backends, planned);
    measure_hearing(metrics, server.hearing, planned);
  }
  for (const ServiceConfig& service : server.active->config.services)
    measure_states(metrics, backends, service);
  measure_readiness(metrics, server);
  measure_losses(metrics, server);
  measure_announcements(metrics, server.announcer->counts());
  measure_interfaces(metrics, "server", interface_states(server));
  measure_uncovered(metrics, "server", uncovered_ways(server), true);
  measure_keys(metrics, "server", server.settings->cookie_keys);
}

} // namespace trap::server
