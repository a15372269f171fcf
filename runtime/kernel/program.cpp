// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/program.h"

#include <cerrno>
#include <string_view>

#include <bpf/libbpf.h>
#include <fmt/core.h>

namespace trap {
namespace {

constexpr char scratch_map[] = "scratch";

Result<void> share_maps(bpf_object* other, const bpf_object* live, Sharing sharing) {
  bpf_map* map;
  bpf_object__for_each_map(map, other) {
    const char* name = bpf_map__name(map);
    if (bpf_map__is_internal(map) ||
        (sharing == Sharing::all_but_scratch && std::string_view(name) == scratch_map))
      continue;
    const bpf_map* shared = bpf_object__find_map_by_name(live, name);
    int failed = shared ? bpf_map__reuse_fd(map, bpf_map__fd(shared)) : -ENOENT;
    if (failed)
      return Error{fmt::format("cannot share map \"{}\": {}", name, error_text(failed))};
  }
  return {};
}

} // namespace

Error cannot_open_program() {
  return Error{"cannot open the BPF program in this executable: was it built completely?"};
}

Error cannot_load_program(const std::string& name, int error_number) {
  return Error{fmt::format(
      "the kernel does not load {}'s BPF program: {}: see the reason with --log-level debug", name,
      error_text(error_number))};
}

Result<void> load_alone(const std::function<int()>& load) {
  if (int failed = load())
    return Error{fmt::format("the kernel does not load the BPF program: {}", error_text(failed))};
  return {};
}

Result<void> load_sharing_maps(bpf_object* other, const bpf_object* live, Sharing sharing,
                               const std::function<int()>& load) {
  if (auto shared = share_maps(other, live, sharing); !shared)
    return shared.error();
  return load_alone(load);
}

} // namespace trap
