// SPDX-License-Identifier: Apache-2.0
// The share of clients that change their backend when one of ten leaves or joins.
#pragma once

#include "bench/report/report.h"

namespace trap::bench {

void measure_backend_churn(Report& report);

} // namespace trap::bench
