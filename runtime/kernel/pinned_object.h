// SPDX-License-Identifier: Apache-2.0
// Pins below a directory of a bpffs, and the lock that keeps two daemons from one directory.
#pragma once

#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/result.h"
#include "runtime/undo.h"

struct bpf_object;

namespace trap {

struct Pin {
  std::string path;
  int fd = -1; // of what is pinned there; another owns it
};

// Sends libbpf's own messages to the log, all of them at debug level.
void redirect_libbpf_messages();

// Keeps other daemons from `pin_dir` for as long as the descriptor lives; no descriptor if there is
// no such directory.
Result<Fd> lock_pin_dir(const std::string& pin_dir, const std::string& program);

// Makes `pin_dir`, mounting a bpffs at /sys/fs/bpf if it is to be there and is not, and locks it
// for this process. Directories made here are removed again by `undo`.
Result<Fd> open_pin_dir(const std::string& pin_dir, const std::string& program, Undo& undo);

// The pins of a loaded object's maps.
std::vector<Pin> pins_of_maps(const bpf_object* object, const std::string& pin_dir);

// Pins `fd` at `path`, in place of what an earlier run pinned there.
Result<void> pin(int fd, const std::string& path);

// The same; `undo` removes the pin, and pins `earlier` there again if it is a descriptor. `earlier`
// outlives `undo`.
Result<void> pin(int fd, const std::string& path, const Fd& earlier, Undo& undo);

// Names of the pins in a directory; empty if it does not exist.
std::vector<std::string> list_pins(const std::string& pin_dir);

// Removes every pin and the directory.
Result<void> remove_pins(const std::string& pin_dir);

} // namespace trap
