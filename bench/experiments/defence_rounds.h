// SPDX-License-Identifier: Apache-2.0
// Defences in turns, for one family or both. A defence at fault is refused and has no figures; the
// others go on.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/experiments/defences.h"
#include "bench/report/report.h"
#include "lab/traffic/flood.h"

namespace trap::bench {

class DefenceRounds {
public:
  DefenceRounds(std::string experiment, std::vector<Defence> defences, Testbed& testbed,
                Report& report,
                std::vector<lab::Family> families = {std::begin(lab::families),
                                                     std::end(lab::families)})
      : experiment_(std::move(experiment)), defences_(std::move(defences)),
        families_(std::move(families)), testbed_(testbed), report_(report) {}

  // One turn of a defence. An error if its figures may not be used.
  using Measure = std::function<Result<Work>(const Defence&, lab::Family)>;

  // Puts every defence up `rounds` times for each family. An error only after an interrupt.
  Result<void> run(int rounds, const Measure& measure);

  // The defences that have figures. The report names once each defence that this machine cannot
  // have.
  void for_each(const std::function<void(const Defence&, lab::Family)>& conclude);

private:
  Result<void> take_turn(const Defence& defence, lab::Family family, const Measure& measure);
  Result<void> measure_once(const Defence& defence, lab::Family family, const Measure& measure);
  [[nodiscard]] bool takes_part(const Defence& defence, lab::Family family) const {
    return family == lab::Family::ipv4 || defence.why_not_ipv6.empty();
  }
  [[nodiscard]] std::string name_of(const Defence& defence, lab::Family family) const;

  const std::string experiment_;
  const std::vector<Defence> defences_;
  const std::vector<lab::Family> families_;
  Testbed& testbed_;
  Report& report_;
  std::set<std::pair<std::string, lab::Family>> refused_;
};

// A flood that has the last CPU for itself, whatever CPU the caller keeps to afterwards.
Result<lab::Flood> start_pinned_flood(const lab::Topology& topology, const lab::FloodOrder& order);

} // namespace trap::bench
