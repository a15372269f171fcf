// SPDX-License-Identifier: Apache-2.0
// The throughput that trap-guard costs its host: transfers past the guard, beside the same with an
// XDP program that passes everything.
#pragma once

#include <vector>

#include "bench/report/report.h"

namespace trap::bench {

// `transfers` of each kind, a second each, with so many streams at once.
void measure_guard(int transfers, const std::vector<int>& streams, Report& report);

} // namespace trap::bench
