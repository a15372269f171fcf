// SPDX-License-Identifier: Apache-2.0
// Three TRAP servers behind a router that knows nothing of connections, one of them lost under
// load: how many connections fail.
#pragma once

#include "bench/report/report.h"

namespace trap::bench {

void measure_fleet(int connections, Report& report);

} // namespace trap::bench
