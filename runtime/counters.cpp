// SPDX-License-Identifier: Apache-2.0
#include "runtime/counters.h"

#include <algorithm>
#include <numeric>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace trap {

const char* verdict_name(int verdict) {
  static const char* const kNames[] = {
#define TRAP_VERDICT_NAME(id, action, name, text) name,
      TRAP_VERDICTS(TRAP_VERDICT_NAME)
#undef TRAP_VERDICT_NAME
  };
  return verdict >= 0 && verdict < TRAP_VERDICT_COUNT ? kNames[verdict] : "unknown";
}

CounterReader::CounterReader(int map_fd) : map_fd_(map_fd), per_cpu_(static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus()))) {}

VerdictCounts CounterReader::read(std::uint32_t slot) {
  VerdictCounts counts = {};
  for (std::uint32_t verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    std::uint32_t index = slot * TRAP_VERDICT_SLOTS + verdict;
    if (bpf_map_lookup_elem(map_fd_, &index, per_cpu_.data()) == 0)
      counts[verdict] = std::accumulate(per_cpu_.begin(), per_cpu_.end(), std::uint64_t{0});
  }
  return counts;
}

void CounterReader::clear(std::uint32_t slot) {
  std::fill(per_cpu_.begin(), per_cpu_.end(), 0);
  for (std::uint32_t verdict = 0; verdict < TRAP_VERDICT_SLOTS; verdict++) {
    std::uint32_t index = slot * TRAP_VERDICT_SLOTS + verdict;
    bpf_map_update_elem(map_fd_, &index, per_cpu_.data(), BPF_ANY);
  }
}

} // namespace trap
