// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a packet for every path of the programs: table, lines and targets.
#pragma once

#include <string>

#include "bench/report/report.h"
#include "bench/speed/measure.h"

namespace trap::bench {

// `only`: paths whose names contain this.
void measure_paths(const Effort& effort, const std::string& only, Report& report);

} // namespace trap::bench
