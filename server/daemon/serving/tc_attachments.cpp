// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/tc_attachments.h"

#include <algorithm>

#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/core.h>

#include "runtime/attach/tc_filter.h"
#include "runtime/attach/xdp_chain.h"
#include "runtime/log.h"
#include "runtime/net/framing.h"
#include "runtime/net/host_interfaces.h"
#include "server/daemon/serving/tc_place.h"

namespace trap::server {
namespace {

const TcHook server_hook = {Direction::ingress, "trap_server_tc"};

std::string tc_pin_in(const std::string& pin_dir) {
  return pin_dir + "/program-tc";
}

// From every interface but these. Returns how many.
unsigned detach_elsewhere(std::span<const KnownProgram> known,
                          const std::vector<unsigned>& except) {
  unsigned detached = 0;
  struct if_nameindex* interfaces = if_nameindex();
  for (auto* at = interfaces; at && at->if_index != 0; at++) {
    if (std::ranges::find(except, at->if_index) == except.end())
      detached += detach_filter(at->if_index, server_hook, known) ? 1 : 0;
  }
  if_freenameindex(interfaces);
  return detached;
}

std::string guard_problem(const std::string& pin_dir, const std::string& interface) {
  const auto guard = find_xdp_neighbor(pin_dir, interface, if_nametoindex(interface.c_str()));
  return guard ? fmt::format("interface {}: trap-guard has it at XDP, and judges packets for this "
                             "server's services before it: write attach = \"xdp\"",
                             interface)
               : "";
}

} // namespace

Result<TcAttachments> TcAttachments::make(const PartConfig& config, int program_fd, Undo& undo) {
  TcAttachments all;
  all.names_ = config.interfaces;
  all.except_ = config.except;
  all.pin_dir_ = config.pin_dir;
  all.program_fd_ = program_fd;
  all.earlier_ = Fd(bpf_obj_get(tc_pin_in(config.pin_dir).c_str()));
  const auto found = list_interfaces();
  if (!found)
    return found.error();
  for (const HostInterface& interface : choose_for_xdp(all.names_, all.except_, *found)) {
    const Result<void> taken = all.take(interface, undo);
    if (!taken && is_named(all.names_, interface.name))
      return taken.error();
    if (taken)
      all.interfaces_.push_back(interface.name);
    else
      all.refuse(interface.name, taken.error().message);
  }
  all.look_for_uncovered(*found);
  return all;
}

// Attaches where no program of this run or the one before stands, if the interface is one for it.
Result<void> TcAttachments::take(const HostInterface& interface, Undo& undo) const {
  if (framing_of(interface.type) != Framing::ethernet)
    return Error{fmt::format("interface {}: its packets have no Ethernet header, and trap-server "
                             "reads frames: take it out of \"interfaces\"",
                             interface.name)};
  if (std::string guard = guard_problem(pin_dir_, interface.name); !guard.empty())
    return Error{std::move(guard)};
  return stands(interface.name) ? Result<void>{} : attach(interface.name, undo);
}

// It is asked again at each look.
void TcAttachments::refuse(const std::string& interface, const std::string& reason) {
  std::string& before = refused_[interface];
  if (before != reason)
    log::warn({.interface = interface}, "{}", reason);
  before = reason;
}

Result<void> TcAttachments::attach(const std::string& interface, Undo& undo) const {
  const TcPlace place = tc_place_of(interface);
  const KnownProgram known[] = {known_program(program_fd_), known_program(earlier_.get())};
  if (place.index == 0)
    return {};
  return attach_filter(place.interface, place.index, server_hook, program_fd_, known, undo);
}

// The program of this run, or of the one before.
bool TcAttachments::stands(const std::string& interface) const {
  const TcPlace place = tc_place_of(interface);
  const KnownProgram known[] = {known_program(program_fd_), known_program(earlier_.get())};
  return place.index != 0 && filter_program_id(place.index, server_hook, known) != 0;
}

Result<void> TcAttachments::swap_programs() {
  Undo undo;
  std::vector<unsigned> indexes;
  for (const std::string& interface : interfaces_) {
    if (auto attached = attach(interface, undo); !attached)
      return attached.error();
    indexes.push_back(tc_place_of(interface).index);
  }
  if (auto pinned = pin(program_fd_, tc_pin_in(pin_dir_)); !pinned)
    return pinned.error();
  undo.keep_everything();
  const KnownProgram known[] = {known_program(program_fd_), known_program(earlier_.get())};
  detach_elsewhere(known, indexes);
  earlier_.reset();
  if (const auto detached = detach_pinned_links(pin_dir_);
      !detached) // of a run with attach = "xdp"
    return detached.error();
  return {};
}

void TcAttachments::follow() {
  const auto all = list_interfaces();
  if (!all)
    return;
  const std::vector<HostInterface> chosen = choose_for_xdp(names_, except_, *all);
  for (const HostInterface& interface : chosen) {
    const bool is_known = std::ranges::find(interfaces_, interface.name) != interfaces_.end();
    if (is_known && stands(interface.name))
      continue;
    Undo undo;
    if (auto taken = take(interface, undo); !taken) {
      refuse(interface.name, taken.error().message);
      continue;
    }
    undo.keep_everything();
    refused_.erase(interface.name);
    if (is_known) {
      log::warn({.interface = interface.name},
                "interface {}: the program at tc was gone: attached again", interface.name);
    } else {
      interfaces_.push_back(interface.name);
      log::info({.interface = interface.name}, "interface {}: attached", interface.name);
    }
  }
  const KnownProgram known[] = {known_program(program_fd_)};
  std::erase_if(interfaces_, [&](const std::string& interface) {
    if (is_named(names_, interface) ||
        std::ranges::find(chosen, interface, &HostInterface::name) != chosen.end())
      return false;
    if (const unsigned index = tc_place_of(interface).index)
      detach_filter(index, server_hook, known);
    log::info({.interface = interface}, "interface {}: no longer attached", interface);
    return true;
  });
  std::erase_if(refused_, [&](const auto& entry) {
    return std::ranges::find(chosen, entry.first, &HostInterface::name) == chosen.end();
  });
  look_for_uncovered(*all);
}

void TcAttachments::look_for_uncovered(const std::vector<HostInterface>& all) {
  std::vector<std::string> attached;
  std::ranges::copy_if(interfaces_, std::back_inserter(attached),
                       [this](const std::string& interface) { return stands(interface); });
  uncovered_ = find_uncovered(all, attached, refused_);
  const std::vector<Uncovered> more = decapsulation_.look();
  uncovered_.insert(uncovered_.end(), more.begin(), more.end());
}

std::vector<XdpState> TcAttachments::states() const {
  const KnownProgram known[] = {known_program(program_fd_)};
  std::vector<XdpState> states;
  for (const std::string& interface : interfaces_) {
    XdpState state;
    state.interface = interface;
    state.index = if_nametoindex(interface.c_str());
    state.mode = "tc";
    const TcPlace place = tc_place_of(interface);
    if (place.index != 0) {
      state.program_id = filter_program_id(place.index, server_hook, known);
      state.ours = state.program_id == program_id_of(program_fd_);
    }
    states.push_back(std::move(state));
  }
  return states;
}

std::vector<std::string> TcAttachments::programs_before(const std::string& interface) const {
  const TcPlace place = tc_place_of(interface);
  const KnownProgram known[] = {known_program(program_fd_)};
  return place.index == 0 ? std::vector<std::string>()
                          : trap::programs_before(place.index, server_hook, known);
}

std::vector<std::string> TcAttachments::problems() const {
  std::vector<std::string> problems;
  for (const std::string& interface : interfaces_)
    if (std::string guard = guard_problem(pin_dir_, interface); !guard.empty())
      problems.push_back(std::move(guard));
  return problems;
}

std::vector<Pin> TcAttachments::pins() const {
  return program_fd_ < 0 ? std::vector<Pin>()
                         : std::vector<Pin>{{tc_pin_in(pin_dir_), program_fd_}};
}

unsigned TcAttachments::detach(const std::string& pin_dir) {
  const Fd pinned(bpf_obj_get(tc_pin_in(pin_dir).c_str()));
  const KnownProgram known[] = {known_program(pinned.get())};
  if (!pinned)
    return 0;
  const unsigned detached = detach_elsewhere(known, {});
  unlink(tc_pin_in(pin_dir).c_str());
  return detached;
}

} // namespace trap::server
