// SPDX-License-Identifier: Apache-2.0
// The experiments of the paper, and those that continue them: a service with and without TRAP and
// other defences. Each prints its figures and adds lines and targets to the report. An error is the
// reason why it has no figures.
#pragma once

#include <chrono>
#include <vector>

#include "bench/report/report.h"
#include "lab/hosts/addresses.h"
#include "runtime/result.h"

namespace trap::bench {

struct DownloadEffort {
  int rounds; // each fetches every size in every way, by both families
};

// The paper's table 1: the time that TRAP adds to a download.
Result<void> measure_downloads(const DownloadEffort& effort, Report& report);

struct AttackedDownloadEffort {
  int rounds;                         // each puts every defence up once for each family
  std::chrono::milliseconds deadline; // of a download
  double flood_share;                 // of the requested rate, that must arrive
  std::vector<lab::Family> families;
};

// The paper's download during a SYN flood.
Result<void> measure_attacked_downloads(const AttackedDownloadEffort& effort, Report& report);

struct RisingAttackEffort {
  int rounds;
  std::chrono::milliseconds window;   // of new connections at each rate, and of requests
  std::chrono::milliseconds deadline; // of a connection
  bool refuses;                       // a step that proves nothing is refused; else it is skipped
  std::vector<int> rates;             // SYNs per second, rising
  std::vector<lab::Family> families;
};

// Connections and requests while a SYN flood rises. Needs two CPUs.
Result<void> measure_rising_attack(const RisingAttackEffort& effort, Report& report);

struct DefenceStartEffort {
  int rounds;
  std::chrono::milliseconds window; // of the flood
  bool refuses;                     // a flood that did not come as asked
  std::vector<lab::Family> families;
};

// From the first SYN of a flood to TRAP's answers, where TRAP rests at peace. Needs two CPUs.
Result<void> measure_defence_start(const DefenceStartEffort& effort, Report& report);

struct ConnectionEffort {
  int connections; // for the percentiles, of each defence and family
  int blocks;      // each has an equal share of every defence's connections
};

// The paper's third experiment: from the request for a connection to the first byte of the
// response, without a flood.
Result<void> measure_connection_times(const ConnectionEffort& effort, Report& report);

// Connections that fail when one of three TRAP servers is lost under load, behind a router that
// knows nothing of connections.
Result<void> measure_fleet(int connections, Report& report);

} // namespace trap::bench
