// SPDX-License-Identifier: Apache-2.0
// trap-client's programs at tc of interfaces: an ingress and an egress one for each side and
// framing, loaded when the first interface needs them. They outlive the daemon; the next run knows
// them by its pins.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "client/daemon/interfaces/interface_plan.h"
#include "runtime/attach/tc_filter.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/result.h"
#include "runtime/undo.h"

struct bpf_object;

namespace trap::client {

// Name in the source of the program for these interfaces.
std::string filter_program_name(Direction direction, Side side, Framing framing);

class Attachments {
public:
  // Loads the two programs of a side and framing, and keeps them loaded.
  using Load = std::function<Result<const bpf_object*>(Side side, Framing framing)>;

  Attachments(const std::string& pin_dir, Load load);

  // The programs of an earlier run, from their pins.
  void open_earlier();

  // Loads and pins the programs for such an interface, once. A kernel that refuses them is asked
  // again after a minute, and the error is the same until then.
  Result<void> load_for(const PlannedInterface& interface, Undo& undo);

  // Attaches what the interface is to have and has not. True if that was anything.
  Result<bool> attach(const PlannedInterface& interface, Undo& undo);

  // Of the programs that are loaded.
  std::vector<Pin> pins() const;

  // Removes pins of programs of an earlier run that this run has no interface for.
  void drop_former_pins() const;

  // Removes filters of this and earlier runs from every interface but these. Returns from how many.
  unsigned detach_elsewhere(const std::vector<PlannedInterface>& keep);

  struct State {
    __u32 ingress_id = 0, egress_id = 0; // of the programs in our filters, 0: none
    bool attached = false;               // they are what they should be
    std::vector<std::string> before;     // programs_before() on both sides
  };
  State state_of(const PlannedInterface& interface) const;

private:
  struct FilterProgram {
    Direction direction;
    Side side;
    Framing framing;
    std::string name, pin_path;
    int fd = -1; // the skeleton owns it
    __u32 id = 0;
    Fd earlier;
  };

  // Programs that the kernel refused, and until when it is not asked again.
  struct Refusal {
    Side side;
    Framing framing;
    Error error;
    std::chrono::steady_clock::time_point until;
  };

  const FilterProgram& program_for(const PlannedInterface& interface, Direction direction) const;
  static TcHook hook_of(const FilterProgram& program) { return {program.direction, program.name}; }

  Load load_;
  std::array<FilterProgram, 8> programs_;
  std::vector<KnownProgram> known_;
  std::vector<Refusal> refusals_;
};

} // namespace trap::client
