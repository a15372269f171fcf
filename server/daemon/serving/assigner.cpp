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
#include "server/daemon/serving/tc_place.h"
#include "trap_server_assign.skel.h"

namespace trap::server {
namespace {

const TcHook assign_hook = {Direction::ingress, "trap_server_assign"};
constexpr __u32 called = 0; // entry of the caller's map

std::string pin_path_in(const PartConfig& config) {
  return config.pin_dir + "/program-assign";
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
                             int caller, bool wanted, Undo& undo) {
  interfaces_ = interfaces;
  caller_ = caller;
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
  program_fd_ = bpf_program__fd(caller_ < 0 ? program_->progs.trap_server_assign
                                            : program_->progs.trap_server_take);
  if (auto attached = attach(undo); !attached)
    return attached.error();
  if (caller_ >= 0)
    return {}; // the pinned map keeps it
  return pin(program_fd_, pin_path_, earlier_, undo);
}

bool Assigner::is_called() const {
  __u32 id = 0;
  return bpf_map_lookup_elem(caller_, &called, &id) == 0 && id == program_id_of(program_fd_);
}

Result<void> Assigner::attach(Undo& undo) {
  if (caller_ >= 0) {
    if (bpf_map_update_elem(caller_, &called, &program_fd_, BPF_ANY) != 0)
      return Error{fmt::format("cannot have the program at tc call that which makes sockets: {}",
                               error_text(errno))};
    return {};
  }
  const KnownProgram known[] = {known_program(earlier_.get())};
  for (const std::string& interface : interfaces_) {
    const TcPlace place = tc_place_of(interface);
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
  if (caller_ >= 0)
    return is_called();
  const KnownProgram known[] = {known_program(program_fd_)};
  return std::all_of(interfaces_.begin(), interfaces_.end(), [&](const std::string& interface) {
    const unsigned index = tc_place_of(interface).index;
    return index == 0 || filter_program_id(index, assign_hook, known) != 0;
  });
}

std::vector<std::string> Assigner::programs_before(const std::string& interface) const {
  const unsigned interface_index = program_ && caller_ < 0 ? tc_place_of(interface).index : 0;
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
  return program_ && caller_ < 0 ? std::vector<Pin>{{pin_path_, program_fd_}} : std::vector<Pin>();
}

void Assigner::remove_unwanted() {
  if (!program_ && caller_ >= 0)
    bpf_map_delete_elem(caller_, &called);
  if ((program_ && caller_ < 0) || !earlier_)
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
