// SPDX-License-Identifier: Apache-2.0
// What a packet costs, and what is kept, as there are more of what TRAP has to look through:
// services, backends, prefixes, clients, flows, redirects. Each packet is of another member than
// the last, so that caches are as cold as a great number makes them.
#pragma once

#include <string>

#include "bench/report/report.h"

namespace trap::bench {

struct GrowthEffort {
  int rounds;
  int packets; // of each round
  bool all; // every size and both families; else the smallest and one that is quickly filled, IPv4
};

// `only`: experiments whose names contain this.
void measure_growth(const GrowthEffort& effort, const std::string& only, Report& report);

} // namespace trap::bench
