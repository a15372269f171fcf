// SPDX-License-Identifier: Apache-2.0
// BPF programs at tc: first in line of tcx where the kernel has it (Linux 6.6), else as clsact
// filters (docs/adr/0036). A program of an earlier run is replaced in place.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <linux/types.h>

#include "runtime/attach/tcx.h"
#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap {

const char* direction_name(Direction direction);

// A filter of ours: where, and with which program, by its name in the source. Programs whose names
// begin with the same 15 characters, which is what the kernel keeps, can take each other's place.
struct TcHook {
  Direction direction = Direction::ingress;
  std::string program;
};

// A program of this run or an earlier one: our filters are known by these, or, where the process
// may look at other programs, by name.
struct KnownProgram {
  __u32 id = 0;
  int fd = -1;
};

// id 0 for a descriptor that is none.
KnownProgram known_program(int fd);

// Id of our program on an interface, 0 if there is none.
__u32 filter_program_id(unsigned interface_index, const TcHook& hook,
                        std::span<const KnownProgram> known);

// Attaches `program_fd`, in place of our program if there is one; taking that back puts the former
// program there again if it is known. Does nothing where `program_fd` is attached.
Result<void> attach_filter(const std::string& interface, unsigned interface_index,
                           const TcHook& hook, int program_fd, std::span<const KnownProgram> known,
                           Undo& undo);

// Removes our program, of tcx and of clsact. True if there was one.
bool detach_filter(unsigned interface_index, const TcHook& hook,
                   std::span<const KnownProgram> known);

// Names of the interfaces where our program stands.
std::vector<std::string> interfaces_with_filter(const TcHook& hook,
                                                std::span<const KnownProgram> known);

// Names of the BPF programs at a side of an interface, in the order in which they run; "program 17"
// for one without a name. Of clsact, only filters with handle 1 and a priority up to 16 are found.
std::vector<std::string> tc_program_names(unsigned interface_index, Direction direction);

// The names of those before and behind ours; none where ours is not.
struct TcNeighbors {
  std::vector<std::string> before, behind;
};

TcNeighbors filter_neighbors(unsigned interface_index, const TcHook& hook,
                             std::span<const KnownProgram> known);

// Those before ours for people to read, each as "ingress NAME" or "egress NAME": programs of
// others, which may end the walk of a packet that ours should see.
std::vector<std::string> programs_before(unsigned interface_index, const TcHook& hook,
                                         std::span<const KnownProgram> known);

} // namespace trap
