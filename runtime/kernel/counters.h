// SPDX-License-Identifier: Apache-2.0
// Reads the packet counters of a program: per service slot and verdict, summed over all CPUs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/verdict.h"
#include "runtime/kernel/map_store.h"

namespace trap {

using VerdictCounts = std::array<trap_count, TRAP_VERDICT_COUNT>;

void add_count(trap_count& sum, const trap_count& count);

class CounterReader {
public:
  // `map_fd` is a per-CPU array of trap_count, index slot * TRAP_VERDICT_SLOTS + verdict.
  explicit CounterReader(int map_fd);

  // One system call, whatever the number of verdicts. A map that cannot be read counts 0.
  VerdictCounts read(std::uint32_t slot);

private:
  int map_fd_;
  std::size_t cpus_;
  std::vector<std::uint32_t> indexes_; // of the slot's verdicts
  std::vector<trap_count> values_;     // by verdict, then by CPU
};

// Sets the counters of a slot to 0: of all verdicts, on all CPUs.
void clear_counters(MapStore& store, int map_fd, std::uint32_t slot);

} // namespace trap
