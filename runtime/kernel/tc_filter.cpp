// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/tc_filter.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/fd.h"
#include "runtime/kernel/xdp.h"
#include "runtime/log.h"

namespace trap {
namespace {

constexpr __u32 filter_handle = 1;
constexpr __u32 priorities_searched = 16; // that are looked at

bpf_tc_hook hook_of(unsigned interface_index, Direction direction) {
  LIBBPF_OPTS(bpf_tc_hook, hook);
  hook.ifindex = static_cast<int>(interface_index);
  hook.attach_point = direction == Direction::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

// The kernel keeps 15 characters of a program's name.
std::string kernel_name(const std::string& program) {
  return program.substr(0, BPF_OBJ_NAME_LEN - 1);
}

using Known = std::span<const KnownProgram>;

bool is_ours(__u32 program_id, const std::string& name, Known known) {
  if (std::ranges::find(known, program_id, &KnownProgram::id) != known.end())
    return true;
  Fd program(bpf_prog_get_fd_by_id(program_id));
  bpf_prog_info info = {};
  __u32 length = sizeof(info);
  return program && bpf_obj_get_info_by_fd(program.get(), &info, &length) == 0 &&
         kernel_name(name) == info.name;
}

// Id of the program of the filter with our handle, 0 if there is none or it is no BPF filter: the
// kernel's errors tell less.
__u32 query(const bpf_tc_hook& hook, __u32 priority) {
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = filter_handle;
  options.priority = priority;
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

struct Found {
  __u32 priority;
  __u32 program_id;
};

std::optional<Found> find_ours(const bpf_tc_hook& hook, const std::string& name, Known known) {
  for (__u32 priority = 1; priority <= priorities_searched; priority++) {
    __u32 program_id = query(hook, priority);
    if (program_id != 0 && is_ours(program_id, name, known))
      return Found{priority, program_id};
  }
  return std::nullopt;
}

int attach_at(const bpf_tc_hook& hook, __u32 priority, int program_fd, __u32 flags) {
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = filter_handle;
  options.priority = priority;
  options.prog_fd = program_fd;
  options.flags = flags;
  return bpf_tc_attach(&hook, &options);
}

int detach_at(const bpf_tc_hook& hook, __u32 priority) {
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = filter_handle;
  options.priority = priority;
  return bpf_tc_detach(&hook, &options);
}

Error attach_error(const std::string& interface, Direction direction, int error_number) {
  return Error{fmt::format("interface {}: cannot attach the {} filter: {}", interface,
                           direction_name(direction), error_text(error_number))};
}

Result<void> attach_new(const std::string& interface, const bpf_tc_hook& hook, Direction direction,
                        int program_fd, Undo& undo) {
  int failed = -EEXIST;
  for (__u32 priority = 1; priority <= priorities_searched; priority++) {
    if (query(hook, priority) != 0)
      continue;
    failed = attach_at(hook, priority, program_fd,
                       0); // fails, too, where a filter of another kind has the priority
    if (failed)
      continue;
    undo.add([hook, priority] { detach_at(hook, priority); });
    if (priority > 1)
      log::warn("interface {}, {}: another filter has a priority before ours ({}): ours sees only "
                "what that leaves to it (TC_ACT_UNSPEC)",
                interface, direction_name(direction), priority);
    return {};
  }
  return attach_error(interface, direction, failed);
}

} // namespace

const char* direction_name(Direction direction) {
  return direction == Direction::ingress ? "ingress" : "egress";
}

KnownProgram known_program(int fd) {
  return {fd >= 0 ? program_id_of(fd) : 0, fd};
}

__u32 filter_program_id(unsigned interface_index, const TcHook& wanted, Known known) {
  auto found = find_ours(hook_of(interface_index, wanted.direction), wanted.program, known);
  return found ? found->program_id : 0;
}

Result<void> attach_filter(const std::string& interface, unsigned interface_index,
                           const TcHook& wanted, int program_fd, Known known, Undo& undo) {
  bpf_tc_hook hook = hook_of(interface_index, wanted.direction);
  int failed = bpf_tc_hook_create(&hook);
  if (failed && failed != -EEXIST)
    return Error{fmt::format("interface {}: cannot make its clsact qdisc: {}", interface,
                             error_text(failed))};
  if (!failed) {
    undo.add([hook] {
      bpf_tc_hook whole = hook;
      whole.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
      bpf_tc_hook_destroy(&whole);
    });
  }
  auto ours = find_ours(hook, wanted.program, known);
  if (!ours)
    return attach_new(interface, hook, wanted.direction, program_fd, undo);
  if (int replaced = attach_at(hook, ours->priority, program_fd, BPF_TC_F_REPLACE))
    return attach_error(interface, wanted.direction, replaced);
  if (auto former = std::ranges::find(known, ours->program_id, &KnownProgram::id);
      former != known.end())
    undo.add([hook, priority = ours->priority, fd = former->fd] {
      attach_at(hook, priority, fd, BPF_TC_F_REPLACE);
    });
  return {};
}

bool detach_filter(unsigned interface_index, const TcHook& wanted, Known known) {
  bpf_tc_hook hook = hook_of(interface_index, wanted.direction);
  auto found = find_ours(hook, wanted.program, known);
  return found && detach_at(hook, found->priority) == 0;
}

} // namespace trap
