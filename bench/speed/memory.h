// SPDX-License-Identifier: Apache-2.0
// A flood leaves nothing in memory: trap-server's resident size and its maps before and after.
#pragma once

#include "bench/comparison/closed_loop.h"
#include "bench/report/report.h"

namespace trap::bench {

// What the kernel keeps for a map.
double map_kib(int fd);

void measure_memory(ClosedLoop& loop, Report& report);

} // namespace trap::bench
