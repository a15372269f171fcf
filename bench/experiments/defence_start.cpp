// SPDX-License-Identifier: Apache-2.0
// A service at peace that a flood hits: how long SYNs of the flood go on to the stack before TRAP
// answers in its place. Counted in SYNs that passed, all of which the flood's rate turns into time:
// those that peace allows every second count too, so the figure is no less than the true one.
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "bench/experiments/experiments.h"
#include "bench/experiments/testbed.h"
#include "lab/hosts/cpus.h"
#include "lab/traffic/torrent.h"

namespace trap::bench {
namespace {

constexpr int syns_per_s = 1'000'000;
constexpr double least_share = 0.8; // of that rate, or the flood proves nothing
constexpr double wanted_ms = 200;

struct Start {
  double ms;
  double per_second; // that arrived
};

Result<Start> start_once(Testbed& testbed, lab::Family family, const DefenceStartEffort& effort) {
  const auto defended = testbed.start_trap_on_plain("attack");
  if (!defended)
    return defended.error();
  const auto before = testbed.counters();
  if (!before)
    return before.error();
  lab::TorrentOrder order;
  order.family = family;
  order.host = "plain";
  order.address = lab::addresses_of("plain").address(family);
  order.per_second = syns_per_s;
  auto torrent = lab::Torrent::start(testbed.topology(), order);
  if (!torrent)
    return torrent.error();
  std::this_thread::sleep_for(effort.window);
  const auto seen = (*torrent)->seen();
  const auto after = testbed.counters();
  if (!seen || !after)
    return seen ? after.error() : seen.error();
  const lab::Counters moved = lab::difference(*before, *after);
  if (lab::count_of(moved, "served.reply-syn-ack") == 0)
    return Error{"TRAP answered no SYN: it never went over to defence"};
  const auto passed = static_cast<double>(lab::count_of(moved, "served.pass-syn-at-peace"));
  if (passed == 0)
    return Error{"the service was not at peace: no SYN of the flood reached the stack"};
  return Start{passed / seen->received_per_second() * 1e3, seen->received_per_second()};
}

} // namespace

Result<void> measure_defence_start(const DefenceStartEffort& effort, Report& report) {
  if (lab::last_cpu() == 0) {
    report.skip("defence-start", "this machine has one CPU, which flood and victim would share");
    return {};
  }
  const auto testbed = Testbed::build(Serves::documents, 0);
  if (!testbed)
    return testbed.error();
  if (auto prepared = lab::prepare_flooded_link((*testbed)->topology(), "plain"); !prepared)
    return prepared;
  for (const lab::Family family : effort.families) {
    std::vector<double> ms, rates;
    for (int round = 0; round < effort.rounds; round++) {
      const auto start = start_once(**testbed, family, effort);
      if (!start)
        return start.error();
      ms.push_back(start->ms);
      rates.push_back(start->per_second);
    }
    const int version = static_cast<int>(family);
    const Spread times = spread_of(ms), rate = spread_of(rates);
    if (effort.refuses && rate.min < least_share * syns_per_s) {
      report.refuse(fmt::format("defence-start ipv{}", version),
                    fmt::format("only {:.0f} of {} SYNs/s arrived", rate.min, syns_per_s));
      continue;
    }
    std::printf("defence-start IPv%d: %.1f ms (%.1f to %.1f) of a flood of %.0f SYNs/s reach the "
                "stack\n",
                version, times.median, times.min, times.max, rate.median);
    Line line{"defence-start", "trap-serve", version,   "time",       "ms",
              times.median,    times.min,    times.max, effort.rounds};
    line.more = {{"rate", rate.median}};
    report.add(std::move(line));
    report.add(
        Target{fmt::format("defence-start, IPv{}: time until TRAP answers, the greatest", version),
               times.max, Bound::at_most, wanted_ms, "ms"});
  }
  return {};
}

} // namespace trap::bench
