// SPDX-License-Identifier: Apache-2.0
// tcx (Linux 6.6): an ordered list of BPF programs at an interface, which runs before any filter of
// clsact. Programs attached here stay until they are detached or the interface goes.
#pragma once

#include <vector>

#include <linux/types.h>

namespace trap {

enum class Direction { ingress, egress };

} // namespace trap

namespace trap::tcx {

// Does the kernel have tcx? Needs CAP_NET_ADMIN.
bool is_available(unsigned interface_index);

// Ids of the programs at an interface, in the order in which they run; empty if they cannot be
// read.
std::vector<__u32> program_ids(unsigned interface_index, Direction direction);

// The following return 0 or a negative errno value.

// Puts a program in front of all others. -EEXIST if it is there already, -ERANGE at 63 programs.
int attach_first(unsigned interface_index, Direction direction, int program_fd);

// Puts a program in the place of another one.
int replace(unsigned interface_index, Direction direction, int program_fd, int former_fd);

int detach(unsigned interface_index, Direction direction, int program_fd);

} // namespace trap::tcx
