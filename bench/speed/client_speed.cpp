// SPDX-License-Identifier: Apache-2.0
// Every kind in turns, so that other work of the machine hits all alike. The direct connection goes
// to the host that the translated one is redirected to, past the same trap-client.
#include "bench/speed/measurements.h"

#include <cstdio>
#include <ctime>
#include <map>

#include <sys/socket.h>

#include <fmt/format.h>

#include "bench/speed/transfer.h"
#include "client/maps.h"
#include "lab/deployment/deployment.h"
#include "lab/deployment/redirects.h"
#include "lab/hosts/listening.h"

namespace trap::bench {
namespace {

using lab::addresses_of;
using lab::Family;
using Samples = std::map<std::string, std::vector<double>>;

// Over a direct connect, and a round trip for the first one.
constexpr double first_allowance_us = 50, later_allowance_us = 10;
constexpr double least_throughput = 0.97;
constexpr const char* translated = "translated";
constexpr int closed_port = 9;

double now_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Microseconds that connect() takes. It ends with a reset, which leaves no TIME_WAIT behind.
Result<double> time_connect(std::string_view address, int port, bool answers) {
  socklen_t length = 0;
  const sockaddr_storage target = lab::socket_address(address, port, length);
  const Fd fd{socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const linger at_once{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  const double start = now_us();
  const bool connected = connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), length) == 0;
  const double took = now_us() - start;
  if (connected != answers)
    return Error{fmt::format("connect to {}: {}", lab::endpoint(address, port),
                             connected ? "a listener answers" : error_text(errno))};
  return took;
}

lab::DeploymentPlan plan_of_bench() {
  lab::DeploymentPlan plan;
  plan.applications = true;
  plan.guards_trust = true;
  plan.server_keys =
      "[budget]\nclient_handshakes_per_s = 1000000\nnetwork_handshakes_per_s = 1000000\n";
  return plan;
}

Result<Samples> time_connects(lab::Deployment& trap, Family family, int count) {
  const lab::Host& client = trap.topology().host("client");
  const auto redirects = lab::Redirects::open(client);
  if (!redirects)
    return redirects.error();
  const std::string_view service = addresses_of("service").address(family),
                         at_public = addresses_of("trap").address(family);
  const auto before = trap.client().counters();
  if (!before)
    return before.error();
  Samples samples;
  {
    const lab::InHost inside(client);
    if (!inside.entered())
      return Error{"cannot enter the client's namespace"};
    for (int i = -count / 10; i < count; i++) { // the first tenth warms up
      redirects->forget();
      const std::pair<const char*, Result<double>> times[] = {
          {"direct", time_connect(service, lab::open_port, true)},
          {"round-trip", time_connect(at_public, closed_port, false)},
          {"first", time_connect(at_public, lab::service_port, true)},
          {"later", time_connect(at_public, lab::service_port, true)}};
      for (const auto& [kind, us] : times) {
        if (!us)
          return us.error();
        if (i >= 0)
          samples[kind].push_back(*us);
      }
    }
  }
  const auto after = trap.client().counters();
  if (!after)
    return after.error();
  const lab::Counters moved = lab::difference(*before, *after);
  const auto made = static_cast<std::uint64_t>(count) + static_cast<std::uint64_t>(count / 10);
  if (lab::count_of(moved, "reply-reissued-syn") != made ||
      lab::count_of(moved, "pass-syn-ticketed") != made)
    return Error{fmt::format(
        "of {} first and later connections {} were redirected, {} went straight", made,
        lab::count_of(moved, "reply-reissued-syn"), lab::count_of(moved, "pass-syn-ticketed"))};
  return samples;
}

Result<void> measure_connects(lab::Deployment& trap, Family family, int count, Report& report) {
  const auto samples = time_connects(trap, family, count);
  if (!samples)
    return samples.error();
  const int version = static_cast<int>(family);
  std::map<std::string, double> median;
  for (const auto& [kind, us] : *samples) {
    const Spread spread = spread_of(us);
    median[kind] = spread.median;
    report.add(Line{"client-connect", kind, version, "time", "us", spread.median, spread.min,
                    spread.max, count});
    std::printf("connect, %-10s  IPv%d  %7.1f us  (%.1f to %.1f)\n", kind.c_str(), version,
                spread.median, spread.min, spread.max);
  }
  report.add(
      Target{fmt::format("first connection, IPv{}: over a direct one and a round trip", version),
             median["first"] - median["direct"] - median["round-trip"], Bound::at_most,
             first_allowance_us, "us"});
  report.add(Target{fmt::format("later connection, IPv{}: over a direct one", version),
                    median["later"] - median["direct"], Bound::at_most, later_allowance_us, "us"});
  return {};
}

Result<void> measure_load(lab::Deployment& trap, const Load& load, int rounds, Report& report) {
  const auto run = [&](std::string_view responder) {
    return transfer(trap.topology().host("client"),
                    addresses_of(responder == translated ? "trap" : "service").address(load.family),
                    load);
  };
  return compare_transfers({"client-throughput", "direct", translated, least_throughput}, load,
                           rounds, run, report);
}

} // namespace

Result<void> measure_client(const ClientEffort& effort, Report& report) {
  const auto topology = lab::Topology::build();
  if (!topology)
    return topology.error();
  auto trap = lab::Deployment::start(*topology, plan_of_bench());
  if (!trap)
    return trap.error();
  for (const Family family : effort.families)
    if (auto measured = measure_connects(*trap, family, effort.connections, report); !measured)
      return measured;

  // XDP at the receiving veth takes its segmentation offload away, which costs more than any
  // translation. So the guard is detached, and nothing says CONSENT.
  if (auto detached = trap->guard().detach(); !detached)
    return detached;
  if (auto led = follow_without_consent(trap->client()); !led)
    return led;
  const auto iperf = lab::start_iperf(topology->host("service"));
  if (!iperf)
    return iperf.error();
  for (const Family family : effort.families)
    for (const int parallel : effort.streams)
      for (const bool down : {false, true})
        if (auto measured = measure_load(*trap, {family, parallel, down}, effort.transfers, report);
            !measured)
          return measured;
  return {};
}

} // namespace trap::bench
