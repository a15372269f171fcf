// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/interfaces/attachments.h"

#include <algorithm>
#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/kernel/pinned_object.h"

namespace trap::client {

Attachments::Attachments(const std::string& pin_dir) {
  std::size_t at = 0;
  for (const Direction direction : {Direction::ingress, Direction::egress}) {
    for (const Side side : {Side::host, Side::lan}) {
      for (const Framing framing : {Framing::ethernet, Framing::ip}) {
        const std::string which =
            fmt::format("{}{}{}", direction_name(direction), side == Side::lan ? "_lan" : "",
                        framing == Framing::ip ? "_ip" : "");
        programs_[at++] = {direction,
                           side,
                           framing,
                           fmt::format("trap_client_{}", which),
                           fmt::format("{}/program-{}", pin_dir, which),
                           -1,
                           0,
                           {}};
      }
    }
  }
}

void Attachments::open_earlier() {
  for (FilterProgram& program : programs_) {
    program.earlier = Fd(bpf_obj_get(program.pin_path.c_str()));
    if (program.earlier)
      known_.push_back(known_program(program.earlier.get()));
  }
}

void Attachments::take_programs(const bpf_object* object) {
  for (FilterProgram& program : programs_) {
    program.fd = bpf_program__fd(bpf_object__find_program_by_name(object, program.name.c_str()));
    const KnownProgram known = known_program(program.fd);
    program.id = known.id;
    known_.push_back(known);
  }
}

const Attachments::FilterProgram& Attachments::program_for(const PlannedInterface& interface,
                                                           Direction direction) const {
  return *std::ranges::find_if(programs_, [&](const FilterProgram& program) {
    return program.direction == direction && program.side == interface.side &&
           program.framing == interface.framing;
  });
}

Result<bool> Attachments::attach(const PlannedInterface& interface, Undo& undo) {
  bool any = false;
  for (const Direction direction : {Direction::ingress, Direction::egress}) {
    const FilterProgram& program = program_for(interface, direction);
    if (filter_program_id(interface.index, hook_of(program), known_) == program.id)
      continue;
    if (auto attached = attach_filter(interface.name, interface.index, hook_of(program), program.fd,
                                      known_, undo);
        !attached)
      return attached.error();
    any = true;
  }
  return any;
}

Result<void> Attachments::pin_programs(Undo& undo) {
  for (const FilterProgram& program : programs_) {
    if (auto pinned = pin(program.fd, program.pin_path); !pinned)
      return pinned.error();
    undo.add([&program] {
      unlink(program.pin_path.c_str());
      if (program.earlier)
        bpf_obj_pin(program.earlier.get(), program.pin_path.c_str());
    });
  }
  return {};
}

std::vector<Pin> Attachments::pins() const {
  std::vector<Pin> pins;
  for (const FilterProgram& program : programs_)
    pins.push_back({program.pin_path, program.fd});
  return pins;
}

unsigned Attachments::detach_elsewhere(const std::vector<PlannedInterface>& keep) {
  unsigned detached = 0;
  struct if_nameindex* interfaces = if_nameindex();
  for (auto* at = interfaces; at && at->if_index != 0; at++) {
    if (std::ranges::find(keep, at->if_index, &PlannedInterface::index) != keep.end())
      continue;
    bool any = false;
    for (const Direction direction : {Direction::ingress, Direction::egress})
      any |= detach_filter(at->if_index,
                           {direction, fmt::format("trap_client_{}", direction_name(direction))},
                           known_);
    detached += any;
  }
  if_freenameindex(interfaces);
  return detached;
}

Attachments::State Attachments::state_of(const PlannedInterface& interface) const {
  State state;
  const FilterProgram& ingress = program_for(interface, Direction::ingress);
  const FilterProgram& egress = program_for(interface, Direction::egress);
  state.ingress_id = filter_program_id(interface.index, hook_of(ingress), known_);
  state.egress_id = filter_program_id(interface.index, hook_of(egress), known_);
  state.attached = state.ingress_id == ingress.id && state.egress_id == egress.id;
  return state;
}

} // namespace trap::client
