// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/program.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unistd.h>

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

// The usual reasons for a refusal, which libbpf and the verifier tell in many lines or not at all.
// Empty for others.
std::string reason_of_refusal(int error_number) {
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    return ": the kernel does not describe its types in /sys/kernel/btf/vmlinux: run one that was "
           "built with CONFIG_DEBUG_INFO_BTF=y, as distributions' are";
  if (std::abs(error_number) == EPERM)
    return ": something denies bpf(2) to this process: a container, a user namespace, a filter of "
           "system calls or a security module";
  return "";
}

} // namespace

Error cannot_open_program() {
  return Error{"cannot open the BPF program in this executable: was it built completely?"};
}

Error cannot_load_program(const std::string& name, int error_number) {
  const std::string reason = reason_of_refusal(error_number);
  return Error{fmt::format("the kernel does not load {}'s BPF program: {}{}", name,
                           error_text(error_number),
                           reason.empty() ? ": see the reason with --log-level debug" : reason)};
}

Result<void> load_alone(const std::function<int()>& load) {
  if (int failed = load())
    return Error{fmt::format("the kernel does not load the BPF program: {}{}", error_text(failed),
                             reason_of_refusal(failed))};
  return {};
}

Result<void> load_sharing_maps(bpf_object* other, const bpf_object* live, Sharing sharing,
                               const std::function<int()>& load) {
  if (auto shared = share_maps(other, live, sharing); !shared)
    return shared.error();
  return load_alone(load);
}

} // namespace trap
