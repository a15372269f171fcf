// SPDX-License-Identifier: Apache-2.0
// Code that every rig needs.
#include "tests/bpf/harness/rig.h"

#include <ctime>
#include <stdexcept>

#include "runtime/kernel/program.h"

namespace trap::test {

std::uint64_t coarse_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

void load_twin_of(const Object& live, bpf_object* twin, const std::function<int()>& load) {
  if (auto loaded = load_sharing_maps(twin, live.object(), load); !loaded)
    throw std::runtime_error(loaded.error().message + ": " + last_libbpf_warning());
}

void shrink_lru_maps(bpf_object* object) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
      bpf_map__set_max_entries(map, 1024);
  }
}

} // namespace trap::test
