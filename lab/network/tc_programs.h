// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/kernel/tcx.h"

namespace trap::lab {

// BPF programs at tc of a host's interface, each as "ingress NAME" or "egress NAME", in the order
// in which they run.
std::vector<std::string> tc_programs(const Host& host, const std::string& interface);

// A program of another owner that accepts everything (TCX_PASS): none behind it in tcx, and no
// filter, sees a packet.
Fd program_that_accepts();

// Attaches it in front of all other programs of a host's interface.
Result<void> put_first(const Host& host, const std::string& interface, Direction direction,
                       const Fd& program);
Result<void> take_away(const Host& host, const std::string& interface, Direction direction,
                       const Fd& program);

} // namespace trap::lab
