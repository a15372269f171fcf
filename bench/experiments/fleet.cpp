// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/experiments.h"

#include <cstdio>

#include <fmt/format.h>

#include "lab/deployment/server_fleet.h"

namespace trap::bench {
namespace {

using lab::FleetLoad;
using lab::ServerFleet;
using lab::Spreading;

void add(const char* responder, lab::Family family, const FleetLoad& load, Report& report) {
  const auto all = load.seconds.size() + static_cast<std::size_t>(load.failures);
  std::printf("fleet, %s, %s: %s\n", responder, std::string{name_of(family)}.c_str(),
              load.text().c_str());
  std::fflush(stdout);
  const auto failed = static_cast<double>(load.failures);
  Line failures{"fleet", responder, static_cast<int>(family), "failed_connections", "", failed,
                failed,  failed};
  failures.more = {{"connections", all}, {"servers", ServerFleet::size}};
  report.add(std::move(failures));
  report.add(
      Target{fmt::format("fleet, {}, {}: connections that failed", responder, name_of(family)),
             failed, Bound::at_most, 0, ""});
  if (load.seconds.empty())
    return;
  Spread spread = spread_of(load.seconds);
  report.add(Line{"fleet", responder, static_cast<int>(family), "connection_time", "ms",
                  spread.median * 1e3, spread.min * 1e3, spread.max * 1e3,
                  static_cast<int>(load.seconds.size())});
}

} // namespace

Result<void> measure_fleet(int connections, Report& report) {
  const auto topology = lab::Topology::build();
  if (!topology)
    return topology.error();
  auto deployment = lab::Deployment::start(*topology);
  if (!deployment)
    return deployment.error();
  const auto fleet = ServerFleet::start(*deployment);
  if (!fleet)
    return fleet.error();
  const auto ask = [&](Spreading how, const char* responder) -> Result<void> {
    if (auto spread = (*fleet)->spread(how); !spread)
      return spread;
    const std::atomic<bool> never = false;
    for (const lab::Family family : lab::families)
      add(responder, family, lab::ask_each_time(*deployment, family, connections, never), report);
    return {};
  };
  if (!ServerFleet::kernel_has_ecmp())
    report.skip("fleet ecmp", "this kernel has no equal-cost routes (CONFIG_IP_ROUTE_MULTIPATH)");
  else if (auto asked = ask(Spreading::ecmp, "ecmp"); !asked)
    return asked;
  if (auto asked = ask(Spreading::spray, "spray"); !asked)
    return asked;
  const std::array<FleetLoad, 2> loads = lab::lose_last_under_load(*deployment, **fleet);
  for (std::size_t i = 0; i < loads.size(); i++)
    add("spray-server-lost", lab::families[i], loads[i], report);
  return {};
}

} // namespace trap::bench
