// SPDX-License-Identifier: Apache-2.0
// The paper's third experiment: from the request for a connection to the server's first response,
// without a flood.
#pragma once

#include "bench/report/report.h"

namespace trap::bench {

struct ConnectionEffort {
  int connections; // for the percentiles, of each defence and family
  int blocks;      // in which every defence has its share of them
};

void measure_connection_times(const ConnectionEffort& effort, Report& report);

} // namespace trap::bench
