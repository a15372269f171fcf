// SPDX-License-Identifier: Apache-2.0
#include "lab/network/tc_programs.h"

#include <array>
#include <vector>

#include <net/if.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "runtime/attach/tc_filter.h"

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

Fd program_that_leads_to(unsigned interface_index, std::span<const int> ports) {
  constexpr int protocol_at = 12, ipv4_port_at = 36, ipv6_port_at = 56;
  const auto make = [](int code, int destination, int source, int offset, int value) {
    return bpf_insn{.code = static_cast<__u8>(code),
                    .dst_reg = static_cast<__u8>(destination & 15),
                    .src_reg = static_cast<__u8>(source & 15),
                    .off = static_cast<__s16>(offset),
                    .imm = value};
  };
  const int count = static_cast<int>(ports.size());
  constexpr int load = BPF_LD | BPF_ABS | BPF_H, equal = BPF_JMP | BPF_JEQ | BPF_K,
                set = BPF_ALU64 | BPF_MOV | BPF_K, jump = BPF_JMP | BPF_JA;
  std::vector<bpf_insn> code = {make(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0)};
  if (count != 0) {
    code.push_back(make(load, 0, 0, 0, protocol_at));
    code.push_back(make(equal, 0, 0, 2, 0x0800));
    code.push_back(make(equal, 0, 0, 3, 0x86dd));
    code.push_back(make(jump, 0, 0, 3 + count, 0));
    code.push_back(make(load, 0, 0, 0, ipv4_port_at));
    code.push_back(make(jump, 0, 0, 1, 0));
    code.push_back(make(load, 0, 0, 0, ipv6_port_at));
    for (int i = 0; i < count; i++)
      code.push_back(make(equal, 0, 0, count - i + 1, ports[static_cast<std::size_t>(i)]));
    code.push_back(make(set, 0, 0, 0, -1)); // TCX_NEXT
    code.push_back(make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  }
  code.push_back(make(set, BPF_REG_1, 0, 0, static_cast<int>(interface_index)));
  code.push_back(make(set, BPF_REG_2, 0, 0, 0));
  code.push_back(make(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect));
  code.push_back(make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "leads", "Apache-2.0", code.data(), code.size(),
                          nullptr));
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
