// SPDX-License-Identifier: Apache-2.0
// The cost of one GET /metrics from a trap-server with 1,000 addresses: bpf() calls, as strace
// counts them, and milliseconds without strace.
#pragma once

#include "bench/comparison/closed_loop.h"
#include "bench/report/report.h"

namespace trap::bench {

void measure_scrape(ClosedLoop& loop, Report& report);

} // namespace trap::bench
