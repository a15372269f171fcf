// SPDX-License-Identifier: Apache-2.0
// The responders beside each other in the closed loop, in turns. A responder that does not react as
// it should has no figures.
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
  // Sets every responder up, guests last. A peer that this machine cannot have is skipped, any
  // other refused. An error if there is no host for one, or if a guest cannot be set up.
  static Result<Comparison> set_up(ClosedLoop& loop, const std::vector<Responder>& guests,
                                   Report& report);

  // Sends the flood to every responder that it is for. Lines and targets go into the report. An
  // error if the flood cannot be sent, TRAP's counters disagree, or after an interrupt.
  Result<void> run(const Flood& flood, const Measure& measure);

private:
  struct Entry {
    Responder responder;
    ResponderHost on;
    Equipment equipment;
    std::vector<LoopRun> runs;
    std::uint64_t sent = 0; // in all, in this flood
  };

  Comparison(ClosedLoop& loop, Report& report) : loop_(loop), report_(report) {}
  Result<void> set_up_one(const Responder& responder);
  Result<void> give_credentials(const Flood& flood);
  Result<void> run_rounds(const Flood& flood, const Measure& measure);
  void judge(const Flood& flood);
  static Result<void> check_trap_counters(const Entry& one, const Flood& flood,
                                          const lab::Counters& before);
  void compare(const Flood& flood);

  ClosedLoop& loop_;
  Report& report_;
  std::list<Entry> entries_;
};

} // namespace trap::bench
