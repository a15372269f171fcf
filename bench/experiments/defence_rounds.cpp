// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/defence_rounds.h"

#include <cstdio>

#include <fmt/format.h>

#include "lab/hosts/cpus.h"
#include "lab/hosts/interrupt.h"

namespace trap::bench {

using lab::Family;

std::string DefenceRounds::name_of(const Defence& defence, Family family) const {
  return fmt::format("{} ipv{} {}", experiment_, static_cast<int>(family), defence.name);
}

Result<void> DefenceRounds::run(int rounds, const Measure& measure) {
  const auto turn = [&](const Defence& defence, Family family, int round) -> Result<void> {
    if (!takes_part(defence, family) || refused_.contains({defence.name, family}))
      return {};
    std::printf("%s, round %d of %d\n", name_of(defence, family).c_str(), round + 1, rounds);
    std::fflush(stdout);
    return take_turn(defence, family, measure);
  };
  for (int round = 0; round < rounds; round++)
    for (const Family family : families_)
      for (const Defence& defence : defences_)
        if (auto taken = turn(defence, family, round); !taken)
          return taken;
  return {};
}

Result<void> DefenceRounds::take_turn(const Defence& defence, Family family,
                                      const Measure& measure) {
  const auto measured = measure_once(defence, family, measure);
  if (measured)
    return {};
  if (lab::interrupted())
    return measured;
  refused_.emplace(defence.name, family);
  report_.refuse(name_of(defence, family), measured.error().message);
  return {};
}

Result<void> DefenceRounds::measure_once(const Defence& defence, Family family,
                                         const Measure& measure) {
  const auto held = defence.put_up(testbed_);
  if (!held)
    return held.error();
  const auto before = testbed_.counters();
  if (!before)
    return before.error();
  const auto work = measure(defence, family);
  if (!work)
    return work.error();
  const auto after = testbed_.counters();
  if (!after)
    return after.error();
  const std::string fault = defence.fault(lab::difference(*before, *after), *work);
  if (!fault.empty())
    return Error{
        fmt::format("its {} connections were served in another way: {}", work->connections, fault)};
  return {};
}

void DefenceRounds::for_each(const std::function<void(const Defence&, Family)>& conclude) {
  const auto give = [&](const Defence& defence, Family family) {
    if (!takes_part(defence, family))
      report_.skip(name_of(defence, family), defence.why_not_ipv6);
    else if (!refused_.contains({defence.name, family}))
      conclude(defence, family);
  };
  for (const Family family : families_)
    for (const Defence& defence : defences_)
      give(defence, family);
}

Result<lab::Flood> start_pinned_flood(const lab::Topology& topology, const lab::FloodOrder& order) {
  const auto pinned = lab::Pinned::to(lab::last_cpu());
  if (!pinned)
    return pinned.error();
  return lab::Flood::start(topology, order);
}

} // namespace trap::bench
