// SPDX-License-Identifier: Apache-2.0
// The time that trap-server takes to apply a file of 100,000 client prefixes.
#pragma once

#include "bench/comparison/closed_loop.h"
#include "bench/report/report.h"

namespace trap::bench {

void measure_prefixes(ClosedLoop& loop, Report& report);

} // namespace trap::bench
