// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/interfaces/egress_filters.h"

#include <algorithm>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/log.h"
#include "runtime/net/interface_choice.h"

namespace trap::guard {
namespace {

// The kernel keeps 15 characters of a program's name, in which both are alike.
const TcHook& hook() {
  static const TcHook egress = {Direction::egress, "trap_guard_egress"};
  return egress;
}

} // namespace

EgressFilters::EgressFilters(const std::string& pin_dir) {
  programs_[0] = {Framing::ethernet, "trap_guard_egress", pin_dir + "/program-egress", -1, 0, Fd()};
  programs_[1] = {Framing::ip, "trap_guard_egress_ip", pin_dir + "/program-egress_ip", -1, 0, Fd()};
}

void EgressFilters::open_earlier() {
  for (FilterProgram& program : programs_) {
    program.earlier = Fd(bpf_obj_get(program.pin_path.c_str()));
    if (program.earlier)
      known_.push_back(known_program(program.earlier.get()));
  }
}

void EgressFilters::take_programs(const bpf_object* object) {
  for (FilterProgram& program : programs_) {
    program.fd = bpf_program__fd(bpf_object__find_program_by_name(object, program.name.c_str()));
    const KnownProgram known = known_program(program.fd);
    program.id = known.id;
    known_.push_back(known);
  }
}

// True if the filter was not there, or was another program's.
Result<bool> EgressFilters::attach(const HostInterface& interface, Undo& undo) {
  const auto framing = framing_of(interface.type);
  if (!framing)
    return Error{
        fmt::format("interface {} has a link layer (ARPHRD {}) that trap-guard cannot read: take "
                    "it out of \"interfaces\"",
                    interface.name, interface.type)};
  const auto program = std::ranges::find(programs_, *framing, &FilterProgram::framing);
  if (filter_program_id(interface.index, hook(), known_) == program->id)
    return false;
  if (auto attached =
          attach_filter(interface.name, interface.index, hook(), program->fd, known_, undo);
      !attached)
    return attached.error();
  return true;
}

Result<void> EgressFilters::pin_programs(Undo& undo) {
  for (const FilterProgram& program : programs_) {
    if (auto pinned = pin(program.fd, program.pin_path, program.earlier, undo); !pinned)
      return pinned.error();
  }
  return {};
}

Result<void> EgressFilters::attach_at_start(const std::vector<std::string>& names, Undo& undo) {
  auto found = list_interfaces();
  if (!found)
    return found.error();
  for (const HostInterface& interface : *found) {
    if (!is_named(names, interface.name))
      continue;
    if (auto attached = attach(interface, undo); !attached)
      return attached.error();
  }
  return pin_programs(undo);
}

void EgressFilters::mend(const std::vector<std::string>& names) {
  auto found = list_interfaces();
  if (!found)
    return;
  for (const HostInterface& interface : *found) {
    if (!is_named(names, interface.name))
      continue;
    Undo undo;
    auto attached = attach(interface, undo);
    if (!attached) {
      if (refused_.insert(interface.name).second)
        log::warn("{}", attached.error().message);
      continue;
    }
    undo.keep_everything();
    refused_.erase(interface.name);
    if (*attached)
      log::warn({.interface = interface.name},
                "interface {} was without its egress filter: attached again", interface.name);
  }
}

unsigned EgressFilters::detach_elsewhere(const std::vector<std::string>& keep) {
  unsigned detached = 0;
  struct if_nameindex* interfaces = if_nameindex();
  for (auto* at = interfaces; at && at->if_index != 0; at++) {
    if (!is_named(keep, at->if_name))
      detached += detach_filter(at->if_index, hook(), known_);
  }
  if_freenameindex(interfaces);
  return detached;
}

EgressFilters::State EgressFilters::state_of(unsigned interface_index) const {
  State state;
  state.program_id = interface_index ? filter_program_id(interface_index, hook(), known_) : 0;
  state.before = programs_before(interface_index, hook(), known_);
  state.attached =
      state.program_id != 0 &&
      std::ranges::find(programs_, state.program_id, &FilterProgram::id) != programs_.end();
  return state;
}

std::vector<Pin> EgressFilters::pins() const {
  std::vector<Pin> pins;
  for (const FilterProgram& program : programs_)
    pins.push_back({program.pin_path, program.fd});
  return pins;
}

} // namespace trap::guard
