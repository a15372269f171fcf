// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lab/hosts/host.h"
#include "runtime/attach/tcx.h"
#include "runtime/fd.h"

namespace trap::lab {

// BPF programs at tc of a host's interface, each as "ingress NAME" or "egress NAME", in the order
// in which they run.
std::vector<std::string> tc_programs(const Host& host, const std::string& interface);

// A program of another owner that accepts everything (TCX_PASS): none behind it in tcx, and no
// filter, sees a packet.
Fd program_that_accepts();

// A program of another owner that leads TCP segments to these ports, without a VLAN tag, out by an
// interface; no port: every packet. None behind it sees them.
Fd program_that_leads_to(unsigned interface_index, std::span<const int> ports);

// Attaches it in front of all other programs of a host's interface.
Result<void> put_first(const Host& host, const std::string& interface, Direction direction,
                       const Fd& program);
Result<void> take_away(const Host& host, const std::string& interface, Direction direction,
                       const Fd& program);

} // namespace trap::lab
