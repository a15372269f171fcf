// SPDX-License-Identifier: Apache-2.0
// Seconds of iperf3 between two hosts of the lab, two ways in turns. Each end keeps to a CPU of its
// own: where the scheduler puts them decides more than what is compared.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "bench/report/report.h"
#include "lab/hosts/host.h"
#include "lab/network/topology.h"

namespace trap::bench {

struct Transfer {
  double megabits_per_s = 0;
  double cpu_ns_per_byte = 0; // of the whole machine
};

// How much at once, and which way.
struct Load {
  lab::Family family;
  int parallel;
  bool down; // from iperf3's server

  [[nodiscard]] std::string text() const;
};

// What `responder` is measured against.
struct Rivals {
  std::string experiment; // in the report; the load is added
  const char* floor;
  const char* responder;
  double least; // of the floor's throughput
};

// A second to iperf3's server at the address. Throws if nothing could be measured.
Transfer transfer(const lab::Host& client, std::string_view address, const Load& load);

// `rounds` of both, each first in every other one. The target is about the median of the rounds'
// ratios.
void race(const Rivals& rivals, const Load& load, int rounds,
          const std::function<Transfer(std::string_view)>& run, Report& report);

} // namespace trap::bench
