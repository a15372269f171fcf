// SPDX-License-Identifier: Apache-2.0
// The responders against each other in the closed loop, in turns, and whether what they did is what
// they are measured for.
#pragma once

#include <list>
#include <map>

#include "bench/comparison/responders.h"
#include "bench/report/report.h"

namespace trap::bench {

struct Measure {
  int rounds; // in which every responder runs once
  double run_ms;
};

class Comparison {
public:
  // Everyone takes a stand; who cannot is skipped (peers) or refused.
  Comparison(ClosedLoop& loop, Report& report);

  // One flood for all; lines and targets go into the report.
  void hold(const Flood& flood, const Measure& measure);

private:
  struct Entry {
    Responder responder;
    Stand stand;
    Equipment equipment;
    std::vector<LoopRun> runs;
    std::uint64_t sent = 0; // in all, in this flood
  };

  void prove(const Flood& flood);
  void run_rounds(const Flood& flood, const Measure& measure);
  void judge(const Flood& flood);
  static void check_trap_counters(const Entry& one, const Flood& flood,
                                  const lab::Counters& before);
  void compare(const Flood& flood);

  ClosedLoop& loop_;
  Report& report_;
  std::list<Entry> entries_;
};

} // namespace trap::bench
