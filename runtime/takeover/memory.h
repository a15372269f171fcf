// SPDX-License-Identifier: Apache-2.0
// Looks whether the memory for maps is there: on this host, and within the limits of its control
// groups, which end a process that asks for more.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/result.h"

struct bpf_object;

namespace trap {

// The memory that the maps of an opened object take, those of an earlier run not subtracted.
std::uint64_t bytes_of_maps(const bpf_object* object);

// The places in which the kernel tells of memory.
struct MemorySources {
  std::string meminfo = "/proc/meminfo";
  std::string own_group = "/proc/self/cgroup";
  std::string groups = "/sys/fs/cgroup"; // the unified hierarchy
};

// An error that names the limit if `bytes` more are not to be had. `what` is what they are for.
// Only amounts that could matter are looked at.
Result<void> check_memory(std::uint64_t bytes, const std::string& what,
                          const MemorySources& sources = {});

} // namespace trap
