// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/assigner.h"

#include <algorithm>
#include <numeric>

#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "runtime/attach/tc_filter.h"
#include "runtime/attach/xdp.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/log.h"
#include "runtime/net/host_interfaces.h"
#include "trap_server_assign.skel.h"

namespace trap::server {
namespace {

const TcHook assign_hook = {Direction::ingress, "trap_server_assign"};

std::string pin_path_in(const PartConfig& config) {
  return config.pin_dir + "/program-assign";
}

struct Place {
  std::string interface;
  unsigned index = 0; // 0: it is not there
};

// A bridge takes from a packet the socket that a tc program of its port gave it. So the program
// goes on the bridge, from which the packet comes up a second time.
Place place_of(const std::string& interface) {
  const Place itself = {interface, if_nametoindex(interface.c_str())};
  const auto all = list_interfaces();
  if (!all || itself.index == 0)
    return itself;
  const auto port = std::ranges::find(*all, itself.index, &HostInterface::index);
  if (port == all->end() || port->slave_of != "bridge")
    return itself;
  const auto bridge = std::ranges::find(*all, port->master, &HostInterface::index);
  return bridge == all->end() ? itself : Place{bridge->name, bridge->index};
}

// Filters of the program that is pinned, on any interface.
void detach_everywhere(const Fd& pinned) {
  const KnownProgram known[] = {known_program(pinned.get())};
  struct if_nameindex* interfaces = if_nameindex();
  for (auto* at = interfaces; at && at->if_index != 0; at++)
    detach_filter(at->if_index, assign_hook, known);
  if_freenameindex(interfaces);
}

} // namespace

const char* assignment_name(std::size_t result) {
  static constexpr const char* names[] = {
#define TRAP_ASSIGNMENT_NAME(id, is_loss, name, explanation) name,
      TRAP_ASSIGNMENTS(TRAP_ASSIGNMENT_NAME)
#undef TRAP_ASSIGNMENT_NAME
  };
  return names[result];
}

Assigner::Assigner() = default;
Assigner::~Assigner() = default;

Result<void> Assigner::start(const PartConfig& config, const std::vector<std::string>& interfaces,
                             bool wanted, Undo& undo) {
  interfaces_ = interfaces;
  pin_path_ = pin_path_in(config);
  earlier_ = Fd(bpf_obj_get(pin_path_.c_str()));
  if (!wanted)
    return {};
  auto program = Program<trap_server_assign>::load();
  if (!program) {
    log::info("this kernel does not make sockets for other cookies than its own (Linux 6.9 does): "
              "served clients get the kernel's");
    return {};
  }
  program_ = std::move(*program);
  program_fd_ = bpf_program__fd(program_->progs.trap_server_assign);
  if (auto attached = attach(undo); !attached)
    return attached.error();
  return pin(program_fd_, pin_path_, earlier_, undo);
}

Result<void> Assigner::attach(Undo& undo) {
  const KnownProgram known[] = {known_program(earlier_.get())};
  for (const std::string& interface : interfaces_) {
    const Place place = place_of(interface);
    if (place.index == 0)
      continue;
    if (auto attached =
            attach_filter(place.interface, place.index, assign_hook, program_fd_, known, undo);
        !attached)
      return attached.error();
  }
  return {};
}

bool Assigner::works() const {
  if (!program_)
    return false;
  const KnownProgram known[] = {known_program(program_fd_)};
  return std::all_of(interfaces_.begin(), interfaces_.end(), [&](const std::string& interface) {
    const unsigned index = place_of(interface).index;
    return index == 0 || filter_program_id(index, assign_hook, known) != 0;
  });
}

std::vector<std::string> Assigner::programs_before(const std::string& interface) const {
  const unsigned interface_index = program_ ? place_of(interface).index : 0;
  if (interface_index == 0)
    return {};
  const KnownProgram known[] = {known_program(program_fd_)};
  return trap::programs_before(interface_index, assign_hook, known);
}

AssignmentCounts Assigner::counts(std::uint32_t slot) const {
  AssignmentCounts counts = {};
  if (!program_)
    return counts;
  const int fd = bpf_map__fd(program_->maps.assignments);
  std::vector<std::uint64_t> of_cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  for (std::uint32_t result = 0; result < TRAP_ASSIGNMENT_COUNT; result++) {
    const std::uint32_t index = slot * TRAP_ASSIGNMENT_SLOTS + result;
    if (bpf_map_lookup_elem(fd, &index, of_cpus.data()) == 0)
      counts[result] = std::accumulate(of_cpus.begin(), of_cpus.end(), std::uint64_t{0});
  }
  return counts;
}

std::uint64_t Assigner::tried(std::uint32_t slot) const {
  const AssignmentCounts counts = this->counts(slot);
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}) -
         counts[TRAP_ASSIGNMENT_WAITED] - counts[TRAP_ASSIGNMENT_LEFT_BEHIND];
}

void Assigner::mend(const std::vector<std::string>& interfaces) {
  const bool same = interfaces_ == interfaces;
  interfaces_ = interfaces;
  if (!program_ || works())
    return;
  Undo undo;
  if (!attach(undo))
    return;
  undo.keep_everything();
  if (!same)
    return; // interfaces came: their log line is the XDP program's
  log::warn(
      "the filter that makes sockets of handshakes was gone from an interface: attached again");
}

std::vector<Pin> Assigner::pins() const {
  return program_ ? std::vector<Pin>{{pin_path_, program_fd_}} : std::vector<Pin>();
}

void Assigner::remove_unwanted() {
  if (program_ || !earlier_)
    return;
  detach_everywhere(earlier_);
  unlink(pin_path_.c_str());
  earlier_.reset();
}

void Assigner::detach(const PartConfig& config) {
  Fd pinned(bpf_obj_get(pin_path_in(config).c_str()));
  detach_everywhere(pinned);
}

} // namespace trap::server
