// SPDX-License-Identifier: Apache-2.0
#include "lab/network/tc_programs.h"

#include <array>
#include <net/if.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "runtime/kernel/tc_filter.h"

namespace trap::lab {
namespace {

// `act` gets the interface's index and returns 0 or a negative errno value.
template <class Act>
Result<void> at_interface(const Host& host, const std::string& interface, Act act) {
  const InHost inside{host};
  const int failed = inside.entered() ? act(if_nametoindex(interface.c_str())) : -ENOENT;
  if (failed != 0)
    return Error{fmt::format("programs of {}: {}", interface, error_text(failed))};
  return {};
}

} // namespace

std::vector<std::string> tc_programs(const Host& host, const std::string& interface) {
  std::vector<std::string> programs;
  const InHost inside{host};
  if (!inside.entered())
    return {fmt::format("cannot enter {}", host.name())};
  const unsigned index = if_nametoindex(interface.c_str());
  for (const Direction direction : {Direction::ingress, Direction::egress})
    for (const std::string& name : tc_program_names(index, direction))
      programs.push_back(fmt::format("{} {}", direction_name(direction), name));
  return programs;
}

Fd program_that_accepts() {
  const std::array<bpf_insn, 2> code = {
      bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
      bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  return Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "accepts", "Apache-2.0", code.data(),
                          code.size(), nullptr));
}

Result<void> put_first(const Host& host, const std::string& interface, Direction direction,
                       const Fd& program) {
  return at_interface(host, interface, [&](unsigned index) {
    return tcx::attach_first(index, direction, program.get());
  });
}

Result<void> take_away(const Host& host, const std::string& interface, Direction direction,
                       const Fd& program) {
  return at_interface(host, interface,
                      [&](unsigned index) { return tcx::detach(index, direction, program.get()); });
}

} // namespace trap::lab
