// SPDX-License-Identifier: Apache-2.0
// A flood leaves nothing in memory: trap-server's resident size and its maps before and after.
#pragma once

#include "bench/comparison/closed_loop.h"
#include "bench/report/report.h"

namespace trap::bench {

// The memory that the kernel holds for a map.
double map_kib(int fd);

// The trap-server that runs on the host; throws std::runtime_error if there is none.
pid_t daemon_in(const lab::Host& host);

void measure_memory(ClosedLoop& loop, Report& report);

} // namespace trap::bench
