// SPDX-License-Identifier: Apache-2.0
// The paper's table 1: what TRAP adds to the time of a download.
#pragma once

#include "bench/report/report.h"

namespace trap::bench {

struct DownloadEffort {
  int rounds; // in which every size is fetched once in every way, by both families
};

void measure_downloads(const DownloadEffort& effort, Report& report);

} // namespace trap::bench
