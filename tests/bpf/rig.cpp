// SPDX-License-Identifier: Apache-2.0
// What every rig needs.
#include "tests/bpf/rig.h"

#include <ctime>

namespace trap::test {

std::uint64_t coarse_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

void shrink_lru_maps(bpf_object* object) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
      bpf_map__set_max_entries(map, 1024);
  }
}

} // namespace trap::test
