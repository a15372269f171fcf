// SPDX-License-Identifier: Apache-2.0
// Defences in turns, for both families. A defence at fault is refused and has no figures; the
// others go on.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/experiments/defences.h"
#include "bench/report/report.h"

namespace trap::bench {

class DefenceRounds {
public:
  DefenceRounds(std::string experiment, std::vector<Defence> defences, Testbed& testbed,
                Report& report)
      : experiment_(std::move(experiment)), defences_(std::move(defences)), testbed_(testbed),
        report_(report) {}

  // Puts every defence up `rounds` times for each family. `measure` throws if its figures may not
  // be used. Throws when interrupted.
  void run(int rounds, const std::function<Work(const Defence&, lab::Family)>& measure);

  // The defences that have figures. The report names once each defence that this machine cannot
  // have.
  void for_each(const std::function<void(const Defence&, lab::Family)>& conclude);

private:
  void measure_once(const Defence& defence, lab::Family family,
                    const std::function<Work(const Defence&, lab::Family)>& measure);
  [[nodiscard]] bool takes_part(const Defence& defence, lab::Family family) const {
    return family == lab::Family::ipv4 || defence.why_not_ipv6.empty();
  }
  [[nodiscard]] std::string name_of(const Defence& defence, lab::Family family) const;

  const std::string experiment_;
  const std::vector<Defence> defences_;
  Testbed& testbed_;
  Report& report_;
  std::set<std::pair<std::string, lab::Family>> refused_;
};

} // namespace trap::bench
