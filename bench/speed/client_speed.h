// SPDX-License-Identifier: Apache-2.0
// trap-client's cost to an application: the time of its first and of later connections, and the
// throughput of a translated one, each beside a direct connection to the same host.
#pragma once

#include <vector>

#include "bench/report/report.h"

namespace trap::bench {

struct ClientEffort {
  int connections;          // of each kind
  int transfers;            // of each kind, a second each
  std::vector<int> streams; // at once, of a transfer
};

void measure_client(const ClientEffort& effort, Report& report);

} // namespace trap::bench
