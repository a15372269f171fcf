// SPDX-License-Identifier: Apache-2.0
// A second of iperf3 between two hosts of the lab.
#pragma once

#include <string_view>

#include "lab/host.h"

namespace trap::bench {

struct Transfer {
  double megabits_per_s = 0;
  double cpu_ns_per_byte = 0; // of the whole machine
};

// To iperf3's server at the address, in so many streams; `down` is from it. Throws if nothing could be measured.
Transfer transfer(const lab::Host& client, std::string_view address, int parallel, bool down);

} // namespace trap::bench
