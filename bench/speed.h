// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a packet for every path of the programs: table, lines and targets.
#pragma once

#include <string>

#include "bench/measure.h"
#include "bench/report.h"

namespace trap::bench {

// `only`: paths whose names contain this.
void measure_paths(const Effort& effort, const std::string& only, Report& report);

} // namespace trap::bench
