// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/tc_filter.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/attach/xdp.h"
#include "runtime/attach/xdp_refusal.h"
#include "runtime/fd.h"
#include "runtime/log.h"

namespace trap {
namespace {

constexpr __u32 filter_handle = 1;
constexpr __u32 priorities_searched = 16; // that are looked at

// One side of an interface's clsact qdisc. A bpf_tc_hook is made of it for each call: libbpf
// refuses one whose padding is not zero, and a copy's need not be.
struct Clsact {
  unsigned interface_index;
  Direction direction;
};

constexpr auto both_sides = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);

#define TRAP_TC_HOOK(hook, clsact)                                                                 \
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>((clsact).interface_index),            \
              .attach_point =                                                                      \
                  (clsact).direction == Direction::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS)

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
__u32 query(const Clsact& clsact, __u32 priority) {
  TRAP_TC_HOOK(hook, clsact);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = filter_handle;
  options.priority = priority;
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

struct Found {
  __u32 priority;
  __u32 program_id;
};

std::optional<Found> find_ours(const Clsact& clsact, const std::string& name, Known known) {
  for (__u32 priority = 1; priority <= priorities_searched; priority++) {
    __u32 program_id = query(clsact, priority);
    if (program_id != 0 && is_ours(program_id, name, known))
      return Found{priority, program_id};
  }
  return std::nullopt;
}

int attach_at(const Clsact& clsact, __u32 priority, int program_fd, __u32 flags) {
  TRAP_TC_HOOK(hook, clsact);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = filter_handle;
  options.priority = priority;
  options.prog_fd = program_fd;
  options.flags = flags;
  return bpf_tc_attach(&hook, &options);
}

int detach_at(const Clsact& clsact, __u32 priority) {
  TRAP_TC_HOOK(hook, clsact);
  LIBBPF_OPTS(bpf_tc_opts, options);
  options.handle = filter_handle;
  options.priority = priority;
  return bpf_tc_detach(&hook, &options);
}

Error attach_error(const std::string& interface, Direction direction, int error_number) {
  return Error{fmt::format("interface {}: cannot attach the {} program: {}", interface,
                           direction_name(direction), error_text(error_number))};
}

// What an attachment needs to know of its place.
struct Place {
  std::string interface;
  unsigned index;
  const TcHook& hook;
  Known known;
};

// -1 if the program is not among them.
int known_fd(Known known, __u32 program_id) {
  const auto program = std::ranges::find(known, program_id, &KnownProgram::id);
  return program == known.end() ? -1 : program->fd;
}

// clsact

Result<void> add_clsact_filter(const Place& place, const Clsact& clsact, int program_fd,
                               Undo& undo) {
  int failed = -EEXIST;
  for (__u32 priority = 1; priority <= priorities_searched; priority++) {
    if (query(clsact, priority) != 0)
      continue;
    failed = attach_at(clsact, priority, program_fd,
                       0); // fails, too, where a filter of another kind has the priority
    if (failed)
      continue;
    undo.add([clsact, priority] { detach_at(clsact, priority); });
    if (priority > 1)
      log::warn("interface {}, {}: another filter has a priority before ours ({}): ours sees only "
                "what that leaves to it (TC_ACT_UNSPEC)",
                place.interface, direction_name(place.hook.direction), priority);
    return {};
  }
  return attach_error(place.interface, place.hook.direction, failed);
}

Result<void> attach_to_clsact(const Place& place, int program_fd, Undo& undo) {
  const Clsact clsact = {place.index, place.hook.direction};
  TRAP_TC_HOOK(hook, clsact);
  int failed = bpf_tc_hook_create(&hook);
  if (failed && failed != -EEXIST)
    return Error{fmt::format("interface {}: cannot make its clsact qdisc: {}", place.interface,
                             error_text(failed))};
  if (!failed) {
    undo.add([clsact] {
      TRAP_TC_HOOK(whole, clsact);
      whole.attach_point = both_sides;
      bpf_tc_hook_destroy(&whole);
    });
  }
  auto ours = find_ours(clsact, place.hook.program, place.known);
  if (!ours)
    return add_clsact_filter(place, clsact, program_fd, undo);
  if (int replaced = attach_at(clsact, ours->priority, program_fd, BPF_TC_F_REPLACE))
    return attach_error(place.interface, place.hook.direction, replaced);
  if (const int former = known_fd(place.known, ours->program_id); former >= 0)
    undo.add([clsact, priority = ours->priority, fd = former] {
      attach_at(clsact, priority, fd, BPF_TC_F_REPLACE);
    });
  return {};
}

bool detach_from_clsact(const Place& place, Undo* undo) {
  const Clsact clsact = {place.index, place.hook.direction};
  const auto found = find_ours(clsact, place.hook.program, place.known);
  if (!found || detach_at(clsact, found->priority) != 0)
    return false;
  if (const int former = known_fd(place.known, found->program_id); former >= 0 && undo != nullptr)
    undo->add(
        [clsact, priority = found->priority, fd = former] { attach_at(clsact, priority, fd, 0); });
  return true;
}

// tcx

// Our program's place in line and id.
struct InLine {
  std::size_t at;
  __u32 program_id;
};

std::optional<InLine> find_in_line(const std::vector<__u32>& ids, const TcHook& hook, Known known) {
  for (std::size_t at = 0; at < ids.size(); at++)
    if (is_ours(ids[at], hook.program, known))
      return InLine{at, ids[at]};
  return std::nullopt;
}

bool detach_from_tcx(const Place& place, __u32 program_id) {
  if (const int fd = known_fd(place.known, program_id); fd >= 0)
    return tcx::detach(place.index, place.hook.direction, fd) == 0;
  const Fd program(bpf_prog_get_fd_by_id(program_id));
  return program && tcx::detach(place.index, place.hook.direction, program.get()) == 0;
}

// A program of an earlier run that others have got in front of is not replaced where it is: the
// new one goes to the front, and the old one goes.
Result<void> attach_to_tcx(const Place& place, int program_fd, Undo& undo) {
  const unsigned index = place.index;
  const Direction direction = place.hook.direction;
  const auto ours = find_in_line(tcx::program_ids(index, direction), place.hook, place.known);
  if (ours && ours->program_id == program_id_of(program_fd))
    return {}; // the kernel has no program twice in a line
  const int former = ours ? known_fd(place.known, ours->program_id) : -1;
  if (ours && ours->at == 0 && former >= 0) {
    if (const int failed = tcx::replace(index, direction, program_fd, former))
      return attach_error(place.interface, direction, failed);
    undo.add([index, direction, program_fd, fd = former] {
      tcx::replace(index, direction, fd, program_fd);
    });
    return {};
  }
  const int failed = tcx::attach_first(index, direction, program_fd);
  if (failed == -ERANGE)
    return Error{fmt::format("interface {}: cannot attach the {} program: 63 programs are there, "
                             "which is what the kernel allows (bpftool net shows them)",
                             place.interface, direction_name(direction))};
  if (failed)
    return attach_error(place.interface, direction, failed);
  undo.add([index, direction, program_fd] { tcx::detach(index, direction, program_fd); });
  if (!ours || !detach_from_tcx(place, ours->program_id))
    return {};
  if (former >= 0)
    undo.add([index, direction, fd = former] { tcx::attach_first(index, direction, fd); });
  return {};
}

std::string name_of(__u32 program_id) {
  const std::string name = bpf_program_name(program_id);
  return name.empty() ? fmt::format("program {}", program_id) : name;
}

// Programs of tcx and of clsact, in the order in which they run.
std::vector<__u32> all_program_ids(unsigned interface_index, Direction direction) {
  std::vector<__u32> ids = tcx::program_ids(interface_index, direction);
  for (__u32 priority = 1; priority <= priorities_searched; priority++)
    if (const __u32 id = query({interface_index, direction}, priority))
      ids.push_back(id);
  return ids;
}

// The parts of TRAP end no walk of a packet that is for another part. The kernel keeps 15
// characters of a name.
bool is_of_another_part(std::string_view name, std::string_view ours) {
  for (const std::string_view part : {"trap_server", "trap_guard", "trap_client"})
    if (name.starts_with(part))
      return !ours.starts_with(part);
  return false;
}

} // namespace

const char* direction_name(Direction direction) {
  return direction == Direction::ingress ? "ingress" : "egress";
}

KnownProgram known_program(int fd) {
  return {fd >= 0 ? program_id_of(fd) : 0, fd};
}

__u32 filter_program_id(unsigned interface_index, const TcHook& wanted, Known known) {
  if (const auto ours =
          find_in_line(tcx::program_ids(interface_index, wanted.direction), wanted, known))
    return ours->program_id;
  auto found = find_ours({interface_index, wanted.direction}, wanted.program, known);
  return found ? found->program_id : 0;
}

Result<void> attach_filter(const std::string& interface, unsigned interface_index,
                           const TcHook& wanted, int program_fd, Known known, Undo& undo) {
  const Place place = {interface, interface_index, wanted, known};
  if (!tcx::is_available(interface_index))
    return attach_to_clsact(place, program_fd, undo);
  if (auto attached = attach_to_tcx(place, program_fd, undo); !attached)
    return attached.error();
  detach_from_clsact(place, &undo); // of a version, or a kernel, without tcx
  return {};
}

bool detach_filter(unsigned interface_index, const TcHook& wanted, Known known) {
  const Place place = {{}, interface_index, wanted, known};
  bool any = false;
  for (const __u32 id : tcx::program_ids(interface_index, wanted.direction))
    any |= is_ours(id, wanted.program, known) && detach_from_tcx(place, id);
  any |= detach_from_clsact(place, nullptr);
  return any;
}

std::vector<std::string> interfaces_with_filter(const TcHook& hook, Known known) {
  std::vector<std::string> names;
  struct if_nameindex* interfaces = if_nameindex();
  for (auto* at = interfaces; at && at->if_index != 0; at++)
    if (filter_program_id(at->if_index, hook, known) != 0)
      names.emplace_back(at->if_name);
  if_freenameindex(interfaces);
  return names;
}

std::vector<std::string> tc_program_names(unsigned interface_index, Direction direction) {
  std::vector<std::string> names;
  for (const __u32 id : all_program_ids(interface_index, direction))
    names.push_back(name_of(id));
  return names;
}

TcNeighbors filter_neighbors(unsigned interface_index, const TcHook& wanted, Known known) {
  const std::vector<__u32> ids = all_program_ids(interface_index, wanted.direction);
  const auto ours = find_in_line(ids, wanted, known);
  TcNeighbors neighbors;
  for (std::size_t at = 0; ours && at < ids.size(); at++)
    if (at != ours->at)
      (at < ours->at ? neighbors.before : neighbors.behind).push_back(name_of(ids[at]));
  return neighbors;
}

std::vector<std::string> programs_before(unsigned interface_index, const TcHook& wanted,
                                         Known known) {
  std::vector<std::string> programs;
  for (const std::string& name : filter_neighbors(interface_index, wanted, known).before)
    if (!is_of_another_part(name, wanted.program))
      programs.push_back(fmt::format("{} {}", direction_name(wanted.direction), name));
  return programs;
}

} // namespace trap
