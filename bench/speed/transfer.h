// SPDX-License-Identifier: Apache-2.0
// Seconds of iperf3 between two hosts of the lab, two responders in turns. Each end keeps to a CPU
// of its own: the scheduler's choice would decide more than the responder.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "bench/report/report.h"
#include "lab/deployment/daemons.h"
#include "lab/hosts/host.h"
#include "lab/network/topology.h"
#include "runtime/result.h"

namespace trap::bench {

struct Transfer {
  double megabits_per_s = 0;
  double cpu_ns_per_byte = 0; // of the whole machine
};

// Streams at once, and their direction.
struct Load {
  lab::Family family;
  int parallel;
  bool down; // from iperf3's server

  [[nodiscard]] std::string text() const;
};

// The least throughput of a responder, as a share of another's.
struct ThroughputTarget {
  std::string experiment; // in the report; the load is added
  const char* floor;
  const char* responder;
  double least; // of the floor's throughput
};

// One second of transfer with iperf3's server at the address. An error if nothing was measured.
Result<Transfer> transfer(const lab::Host& client, std::string_view address, const Load& load);

// Runs both in every round, each first in every other one. The target is for the median of the
// rounds' ratios. An error of `run` ends it, without figures.
Result<void> compare_transfers(const ThroughputTarget& wanted, const Load& load, int rounds,
                               const std::function<Result<Transfer>(std::string_view)>& run,
                               Report& report);

// Lets trap-client of a lab follow redirects to where no guard says CONSENT.
Result<void> follow_without_consent(lab::Daemon& client);

} // namespace trap::bench
