// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/defence_rounds.h"

#include <cstdio>
#include <stdexcept>

#include <fmt/format.h>

#include "lab/hosts/interrupt.h"

namespace trap::bench {

using lab::Family;

std::string DefenceRounds::name_of(const Defence& defence, Family family) const {
  return fmt::format("{} ipv{} {}", experiment_, static_cast<int>(family), defence.name);
}

void DefenceRounds::run(int rounds, const std::function<Work(const Defence&, Family)>& measure) {
  const auto turn = [&](const Defence& defence, Family family, int round) {
    if (!takes_part(defence, family) || refused_.contains({defence.name, family}))
      return;
    std::printf("%s, round %d of %d\n", name_of(defence, family).c_str(), round + 1, rounds);
    std::fflush(stdout);
    measure_once(defence, family, measure);
  };
  for (int round = 0; round < rounds; round++)
    for (const Family family : lab::families)
      for (const Defence& defence : defences_)
        turn(defence, family, round);
}

void DefenceRounds::measure_once(const Defence& defence, Family family,
                                 const std::function<Work(const Defence&, Family)>& measure) {
  try {
    const std::shared_ptr<void> held = defence.put_up(testbed_);
    const lab::Counters before = testbed_.counters();
    const Work work = measure(defence, family);
    const std::string fault = defence.fault(lab::difference(before, testbed_.counters()), work);
    if (!fault.empty())
      throw std::runtime_error(fmt::format("its {} connections were served in another way: {}",
                                           work.connections, fault));
  } catch (const std::runtime_error& error) {
    if (lab::interrupted())
      throw;
    refused_.emplace(defence.name, family);
    report_.refuse(name_of(defence, family), error.what());
  }
}

void DefenceRounds::for_each(const std::function<void(const Defence&, Family)>& conclude) {
  const auto give = [&](const Defence& defence, Family family) {
    if (!takes_part(defence, family))
      report_.skip(name_of(defence, family), defence.why_not_ipv6);
    else if (!refused_.contains({defence.name, family}))
      conclude(defence, family);
  };
  for (const Family family : lab::families)
    for (const Defence& defence : defences_)
      give(defence, family);
}

} // namespace trap::bench
