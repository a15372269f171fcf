// SPDX-License-Identifier: Apache-2.0
// trap-guard's egress programs as filters on its interfaces: one for interfaces with Ethernet
// headers, one for those without. They outlive the daemon; the next run knows them by its pins.
#pragma once

#include <array>
#include <set>
#include <string>
#include <vector>

#include "runtime/attach/tc_filter.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/net/framing.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/result.h"
#include "runtime/undo.h"

struct bpf_object;

namespace trap::guard {

class EgressFilters {
public:
  explicit EgressFilters(const std::string& pin_dir);

  // The programs of an earlier run, from their pins; those of this run, once they are loaded.
  void open_earlier();
  void take_programs(const bpf_object* object);

  // Attaches to interfaces of these names, and pins the programs. An interface that is not there is
  // no error; one whose packets the programs cannot read is.
  Result<void> attach_at_start(const std::vector<std::string>& names, Undo& undo);

  // Attaches where an interface of these names has no filter, and says so.
  void mend(const std::vector<std::string>& names);

  // Removes filters of this and earlier runs from every interface but these. Returns from how many.
  unsigned detach_elsewhere(const std::vector<std::string>& keep);

  struct State {
    __u32 program_id = 0;            // in our filter, 0: none
    bool attached = false;           // it is what it should be
    std::vector<std::string> before; // programs_before()
  };
  State state_of(unsigned interface_index) const;

  std::vector<Pin> pins() const;

private:
  struct FilterProgram {
    Framing framing;
    std::string name, pin_path;
    int fd = -1; // the skeleton owns it
    __u32 id = 0;
    Fd earlier;
  };

  Result<bool> attach(const HostInterface& interface, Undo& undo);
  Result<void> pin_programs(Undo& undo);

  std::array<FilterProgram, 2> programs_;
  std::vector<KnownProgram> known_;
  std::set<std::string> refused_; // interfaces that refused the filter, and the log says so
};

} // namespace trap::guard
