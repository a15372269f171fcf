// SPDX-License-Identifier: Apache-2.0
// Time and memory of a packet as tables grow: services, backends, prefixes, clients, flows,
// redirects. Each packet is of another member than the last, so that caches are as cold as the
// number makes them.
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
