// SPDX-License-Identifier: Apache-2.0
// A service under a SYN flood, defended by TRAP, by what Linux has, and by nothing: the paper's
// download, and what becomes of connections as the flood rises.
#pragma once

#include <chrono>
#include <vector>

#include "bench/report/report.h"

namespace trap::bench {

// In a round every defence stands once for each family.
struct AttackedDownloadEffort {
  int rounds;
  std::chrono::milliseconds deadline; // of a download
  double flood_share;                 // of the rate that was asked for, that must arrive
};

void measure_attacked_downloads(const AttackedDownloadEffort& effort, Report& report);

struct RisingAttackEffort {
  int rounds;
  std::chrono::milliseconds window;   // of new connections at each rate
  std::chrono::milliseconds deadline; // of a connection
  double flood_share;                 // as above
  std::vector<int>
      rates; // SYNs per second, rising; the most that the generator gives comes after them
};

void measure_rising_attack(const RisingAttackEffort& effort, Report& report);

} // namespace trap::bench
