// SPDX-License-Identifier: Apache-2.0
#include "lab/network/listener_choice.h"

#include <cerrno>

#include <linux/bpf.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "lab_steer.skel.h"
#include "runtime/kernel/program.h"

namespace trap::lab {
namespace {

Result<void> attach(const Fd& listener, int option, const void* value, socklen_t bytes) {
  if (setsockopt(listener.get(), SOL_SOCKET, option, value, bytes) != 0)
    return Error{fmt::format("cannot have a program choose a listener: {}", error_text(errno))};
  return {};
}

Result<void> put(const bpf_map* map, const Fd& listener) {
  const __u32 only = 0;
  const auto socket = static_cast<__u64>(listener.get());
  if (bpf_map_update_elem(bpf_map__fd(map), &only, &socket, BPF_ANY) != 0)
    return Error{fmt::format("cannot put a listener into a map: {}", error_text(errno))};
  return {};
}

} // namespace

Result<void> choose_listener(const Fd& listener, Chooser chooser, int index, const Fd& chosen) {
  switch (chooser) {
  case Chooser::none:
    return {};
  case Chooser::classic_filter: {
    sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, static_cast<__u32>(index))};
    const sock_fprog program = {.len = 1, .filter = code};
    return attach(listener, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
  }
  case Chooser::filter: {
    const bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = index},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "chooses", "Apache-2.0", code,
                                   std::size(code), nullptr));
    const int fd = program.get();
    return attach(listener, SO_ATTACH_REUSEPORT_EBPF, &fd, sizeof fd);
  }
  case Chooser::program: {
    const auto skeleton = Program<lab_steer>::load();
    if (!skeleton)
      return skeleton.error();
    if (auto done = put((*skeleton)->maps.chosen, chosen); !done)
      return done;
    const int fd = bpf_program__fd((*skeleton)->progs.lab_choose);
    return attach(listener, SO_ATTACH_REUSEPORT_EBPF, &fd, sizeof fd);
  }
  }
  return {};
}

Result<Fd> lead_to_listener(const Host& host, int family, int port, const Fd& listener) {
  const auto skeleton = Program<lab_steer>::load([&](lab_steer& open) {
    open.rodata->steered_port = static_cast<__u32>(port);
    open.rodata->steered_family = static_cast<__u32>(family);
  });
  if (!skeleton)
    return skeleton.error();
  if (auto done = put((*skeleton)->maps.steered, listener); !done)
    return done.error();
  Fd link(bpf_link_create(bpf_program__fd((*skeleton)->progs.lab_steer), host.descriptor(),
                          BPF_SK_LOOKUP, nullptr));
  if (!link)
    return Error{fmt::format("cannot lead clients to another listener: {}", error_text(errno))};
  return link;
}

} // namespace trap::lab
