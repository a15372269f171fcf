// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/trial.h"

#include <cstdio>
#include <stdexcept>

#include <fmt/format.h>

#include "lab/hosts/interrupt.h"

namespace trap::bench {

using lab::Family;

std::string Trial::name_of(const Defence& defence, Family family) const {
  return fmt::format("{} ipv{} {}", experiment_, static_cast<int>(family), defence.name);
}

void Trial::hold(int rounds, const std::function<Work(const Defence&, Family)>& measure) {
  const auto turn = [&](const Defence& defence, Family family, int round) {
    if (!takes_part(defence, family) || refused_.contains({defence.name, family}))
      return;
    std::printf("%s, round %d of %d\n", name_of(defence, family).c_str(), round + 1, rounds);
    std::fflush(stdout);
    stand(defence, family, measure);
  };
  for (int round = 0; round < rounds; round++)
    for (const Family family : lab::families)
      for (const Defence& defence : defences_)
        turn(defence, family, round);
}

void Trial::stand(const Defence& defence, Family family,
                  const std::function<Work(const Defence&, Family)>& measure) {
  try {
    const std::shared_ptr<void> held = defence.put_up(testbed_);
    const lab::Counters before = testbed_.counters();
    const Work work = measure(defence, family);
    const std::string fault = defence.fault(lab::difference(before, testbed_.counters()), work);
    if (!fault.empty())
      throw std::runtime_error(
          fmt::format("something else served its {} connections: {}", work.connections, fault));
  } catch (const std::runtime_error& error) {
    if (lab::interrupted())
      throw;
    refused_.emplace(defence.name, family);
    report_.refuse(name_of(defence, family), error.what());
  }
}

void Trial::for_each(const std::function<void(const Defence&, Family)>& conclude) {
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
