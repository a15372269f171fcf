// SPDX-License-Identifier: Apache-2.0
// The tc program behind the XDP program, which makes sockets of handshakes that TRAP's own cookies
// completed (server/bpf/assign.bpf.c), on the interfaces of the configuration. Kernels before 6.9
// cannot load it; there the kernel's cookies have to do (docs/adr/0011).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/part_config.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/kernel/program.h"
#include "runtime/result.h"
#include "runtime/undo.h"
#include "server/handover.h"

struct trap_server_assign;

namespace trap::server {

using AssignmentCounts = std::array<std::uint64_t, TRAP_ASSIGNMENT_COUNT>;

const char* assignment_name(std::size_t result); // of enum trap_assignment

class Assigner {
public:
  Assigner();
  ~Assigner();
  Assigner(const Assigner&) = delete;
  Assigner& operator=(const Assigner&) = delete;

  // Loads the program, if it is wanted and the kernel can, and attaches it, in place of that of an
  // earlier run. `caller`: the map through which trap-server's program at tc calls it, which then
  // takes its place; -1 if that one is at XDP.
  Result<void> start(const PartConfig& config, const std::vector<std::string>& interfaces,
                     int caller, bool wanted, Undo& undo);

  // Is it on every interface that is there, or called?
  bool works() const;

  // The programs of others that run before it on an interface, each as "ingress NAME".
  std::vector<std::string> programs_before(const std::string& interface) const;

  // Attaches it, or has it called, where it is missing, on these interfaces from now on.
  void mend(const std::vector<std::string>& interfaces);

  // Of its program, if there is one.
  std::vector<Pin> pins() const;

  // Results of the handovers of a service since the start, by enum trap_assignment.
  AssignmentCounts counts(std::uint32_t slot) const;

  // The handshakes among them.
  std::uint64_t tried(std::uint32_t slot) const;

  // Without it: removes what an earlier run attached. Once no service needs it any more.
  void remove_unwanted();

  // The filters of any run, for --detach: before the pins go.
  static void detach(const PartConfig& config);

private:
  Result<void> attach(Undo& undo);
  bool is_called() const;

  std::vector<std::string> interfaces_;
  std::string pin_path_;
  Program<trap_server_assign> program_; // empty: does without
  int program_fd_ = -1;                 // program_ owns it
  int caller_ = -1;
  Fd earlier_;
};

} // namespace trap::server
