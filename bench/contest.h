// SPDX-License-Identifier: Apache-2.0
// The contenders against each other in the closed loop, in turns, and whether what they did is what they are measured for.
#pragma once

#include <list>
#include <map>

#include "bench/contenders.h"
#include "bench/report.h"

namespace trap::bench {

struct Measure {
  int rounds; // in which every contender runs once
  double run_ms;
};

class Contest {
public:
  // Everyone takes a stand; who cannot is skipped (peers) or refused.
  Contest(ClosedLoop& loop, Report& report);

  // One flood for all; lines and targets go into the report.
  void hold(const Flood& flood, const Measure& measure);

private:
  struct Entrant {
    Contender contender;
    Stand stand;
    Equipment equipment;
    std::vector<LoopRun> runs;
    std::uint64_t sent = 0; // in all, in this flood
  };

  void prove(const Flood& flood);
  void run_rounds(const Flood& flood, const Measure& measure);
  void judge(const Flood& flood);
  static void check_trap_counters(const Entrant& one, const Flood& flood, const lab::Counters& before);
  void compare(const Flood& flood);

  ClosedLoop& loop_;
  Report& report_;
  std::list<Entrant> entrants_;
};

} // namespace trap::bench
