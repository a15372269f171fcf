// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/counters.h"

#include <algorithm>
#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace trap {

void add_count(trap_count& sum, const trap_count& count) {
  sum.packets += count.packets;
  sum.bytes_in += count.bytes_in;
  sum.bytes_out += count.bytes_out;
}

CounterReader::CounterReader(int map_fd)
    : map_fd_(map_fd), cpus_(static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus()))),
      indexes_(TRAP_VERDICT_SLOTS), values_(TRAP_VERDICT_SLOTS * cpus_) {}

// Per-CPU arrays take batches since Linux 5.13, and TRAP needs 6.1.
VerdictCounts CounterReader::read(std::uint32_t slot) {
  VerdictCounts counts = {};
  const std::uint32_t first = slot * TRAP_VERDICT_SLOTS;
  std::uint32_t before = first - 1; // a batch begins after this index
  std::uint32_t last = 0;
  std::uint32_t found = TRAP_VERDICT_SLOTS;
  const int failed = bpf_map_lookup_batch(map_fd_, first == 0 ? nullptr : &before, &last,
                                          indexes_.data(), values_.data(), &found, nullptr);
  if (failed && failed != -ENOENT) // the end of the map
    return counts;
  for (std::uint32_t at = 0; at < found && at < TRAP_VERDICT_COUNT; at++) {
    for (std::size_t cpu = 0; cpu < cpus_; cpu++)
      add_count(counts[at], values_[at * cpus_ + cpu]);
  }
  return counts;
}

void clear_counters(MapStore& store, int map_fd, std::uint32_t slot) {
  const std::vector<trap_count> nothing(
      static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus())));
  for (std::uint32_t verdict = 0; verdict < TRAP_VERDICT_SLOTS; verdict++) {
    const std::uint32_t index = slot * TRAP_VERDICT_SLOTS + verdict;
    store.update(map_fd, &index, nothing.data(), BPF_ANY);
  }
}

} // namespace trap
