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

namespace {

// Verifying a program takes a third of a second of CPU, also one that is refused.
constexpr std::chrono::minutes load_again{1};

// "_lan_ip", the end of a program's name; nothing for hosts and Ethernet.
std::string suffix_of(Side side, Framing framing) {
  return fmt::format("{}{}", side == Side::lan ? "_lan" : "", framing == Framing::ip ? "_ip" : "");
}

} // namespace

std::string filter_program_name(Direction direction, Side side, Framing framing) {
  return fmt::format("trap_client_{}{}", direction_name(direction), suffix_of(side, framing));
}

Attachments::Attachments(const std::string& pin_dir, Load load) : load_(std::move(load)) {
  std::size_t at = 0;
  for (const Direction direction : {Direction::ingress, Direction::egress}) {
    for (const Side side : {Side::host, Side::lan}) {
      for (const Framing framing : {Framing::ethernet, Framing::ip}) {
        programs_[at++] = {direction,
                           side,
                           framing,
                           filter_program_name(direction, side, framing),
                           fmt::format("{}/program-{}{}", pin_dir, direction_name(direction),
                                       suffix_of(side, framing)),
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

Result<void> Attachments::load_for(const PlannedInterface& interface, Undo& undo) {
  if (program_for(interface, Direction::ingress).fd >= 0)
    return {};
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(refusals_, [&](const Refusal& refusal) { return refusal.until <= now; });
  for (const Refusal& refusal : refusals_)
    if (refusal.side == interface.side && refusal.framing == interface.framing)
      return refusal.error;
  const auto object = load_(interface.side, interface.framing);
  if (!object) {
    refusals_.push_back({interface.side, interface.framing, object.error(), now + load_again});
    return object.error();
  }
  for (FilterProgram& program : programs_) {
    if (program.side != interface.side || program.framing != interface.framing)
      continue;
    program.fd = bpf_program__fd(bpf_object__find_program_by_name(*object, program.name.c_str()));
    const KnownProgram known = known_program(program.fd);
    program.id = known.id;
    known_.push_back(known);
    if (auto pinned = pin(program.fd, program.pin_path, program.earlier, undo); !pinned)
      return pinned.error();
  }
  return {};
}

const Attachments::FilterProgram& Attachments::program_for(const PlannedInterface& interface,
                                                           Direction direction) const {
  return *std::ranges::find_if(programs_, [&](const FilterProgram& program) {
    return program.direction == direction && program.side == interface.side &&
           program.framing == interface.framing;
  });
}

Result<bool> Attachments::attach(const PlannedInterface& interface, Undo& undo) {
  if (auto loaded = load_for(interface, undo); !loaded)
    return loaded.error();
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

std::vector<Pin> Attachments::pins() const {
  std::vector<Pin> pins;
  for (const FilterProgram& program : programs_)
    if (program.fd >= 0)
      pins.push_back({program.pin_path, program.fd});
  return pins;
}

void Attachments::drop_former_pins() const {
  for (const FilterProgram& program : programs_)
    if (program.fd < 0)
      unlink(program.pin_path.c_str());
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
  for (const FilterProgram* program : {&ingress, &egress})
    for (std::string& name : programs_before(interface.index, hook_of(*program), known_))
      state.before.push_back(std::move(name));
  state.attached =
      ingress.fd >= 0 && state.ingress_id == ingress.id && state.egress_id == egress.id;
  return state;
}

} // namespace trap::client
