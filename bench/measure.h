// SPDX-License-Identifier: Apache-2.0
// Measuring: the same frame through the empty program, the XDP_TX floor and the program under test, in turns.
#pragma once

#include <string>
#include <vector>

#include "bench/experiment.h"

namespace trap::bench {

struct Effort {
  int rounds;  // in which every contender runs once
  int packets; // of each contender in each round
};

// One line of the report: nanoseconds a packet.
struct Result {
  std::string experiment;
  std::string contender; // trap, empty, send-back
  int family;
  double median_ns;
  double min_ns;
  double max_ns;
  int runs;
};

// Measures one experiment for one family: "empty", "send-back" where there is such a floor, then "trap". Throws std::runtime_error if a
// program does not load or the packets did not take the path.
std::vector<Result> measure(const Experiment& experiment, int family, const Effort& effort);

} // namespace trap::bench
