// SPDX-License-Identifier: Apache-2.0
// Measuring: the same frame through the empty program, the XDP_TX floor and the program under test,
// in turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/report/report.h"
#include "bench/speed/path.h"

namespace trap::bench {

struct Effort {
  int rounds;  // in which every responder runs once
  int packets; // of each responder in each round
  int passes;  // over all paths; each has its rounds in every pass
};

// One line of the report: nanoseconds a packet.
struct Result {
  std::string experiment;
  std::string responder; // trap, empty, send-back
  int family;
  Spread ns;
  std::vector<double> rounds; // ns, one value a round
};

// One experiment for one family. Rounds can be run at several times, between those of other
// experiments, so that a machine that is busy for some seconds does not spoil one of them. Throws
// std::runtime_error if a program does not load or the packets did not take the path.
class PathBench {
public:
  PathBench(const Experiment& experiment, int family);
  ~PathBench();
  void run(const Effort& effort);
  // Of all rounds: "empty", "send-back" where there is such a floor, then "trap".
  std::vector<Result> results();

private:
  class Bench;
  std::unique_ptr<Bench> bench_;
};

} // namespace trap::bench
