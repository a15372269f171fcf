// SPDX-License-Identifier: Apache-2.0
// BPF programs as clsact filters of an interface. A filter of an earlier run is replaced in place; one of somebody
// else keeps its priority, and ours takes the next.
#ifndef TRAP_RUNTIME_TC_FILTER_H
#define TRAP_RUNTIME_TC_FILTER_H

#include <string>

#include <linux/types.h>

#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap {

enum class Direction { ingress, egress };

const char* direction_name(Direction direction);

// A filter of ours: where, and with which program, by its name in the source.
struct TcHook {
  Direction direction = Direction::ingress;
  std::string program;
};

// Id of the program in our filter on an interface, 0 if there is none. Ours are known by `known_id`, or, where the process may
// look at other programs, by their name.
__u32 filter_program_id(unsigned interface_index, const TcHook& hook, __u32 known_id);

// Attaches `program_fd`, in place of our filter with the program of `earlier_fd` if there is one; -1 if there was no earlier run.
Result<void> attach_filter(const std::string& interface, unsigned interface_index, const TcHook& hook, int program_fd, int earlier_fd,
                           Undo& undo);

// Removes our filter. True if there was one.
bool detach_filter(unsigned interface_index, const TcHook& hook, __u32 known_id);

} // namespace trap

#endif
