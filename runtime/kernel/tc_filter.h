// SPDX-License-Identifier: Apache-2.0
// BPF programs as clsact filters of an interface. A filter of an earlier run is replaced in place;
// another program's filter keeps its priority, and ours takes the next.
#pragma once

#include <span>
#include <string>

#include <linux/types.h>

#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap {

enum class Direction { ingress, egress };

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

// Id of the program in our filter on an interface, 0 if there is none.
__u32 filter_program_id(unsigned interface_index, const TcHook& hook,
                        std::span<const KnownProgram> known);

// Attaches `program_fd`, in place of our filter if there is one; taking that back puts the former
// program there again if it is known.
Result<void> attach_filter(const std::string& interface, unsigned interface_index,
                           const TcHook& hook, int program_fd, std::span<const KnownProgram> known,
                           Undo& undo);

// Removes our filter. True if there was one.
bool detach_filter(unsigned interface_index, const TcHook& hook,
                   std::span<const KnownProgram> known);

} // namespace trap
