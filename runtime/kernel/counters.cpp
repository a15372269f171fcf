// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/counters.h"

#include <algorithm>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace trap {

void add_count(trap_count& sum, const trap_count& count) {
  sum.packets += count.packets;
  sum.bytes_in += count.bytes_in;
  sum.bytes_out += count.bytes_out;
}

CounterReader::CounterReader(int map_fd)
    : map_fd_(map_fd), per_cpu_(static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus()))) {
}

VerdictCounts CounterReader::read(std::uint32_t slot) {
  VerdictCounts counts = {};
  for (std::uint32_t verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    std::uint32_t index = slot * TRAP_VERDICT_SLOTS + verdict;
    if (bpf_map_lookup_elem(map_fd_, &index, per_cpu_.data()) != 0)
      continue;
    for (const trap_count& of_cpu : per_cpu_)
      add_count(counts[verdict], of_cpu);
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
