// SPDX-License-Identifier: Apache-2.0
// trap-server's program at tc ingress, for attach = "tc" (docs/adr/0045): first in line on the
// interfaces of the configuration. It stays when the daemon goes, and a later run replaces it where
// it is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/attach/xdp.h"
#include "runtime/config/part_config.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/net/decapsulation.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/net/interface_choice.h"
#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap::server {

class TcAttachments {
public:
  TcAttachments() = default;

  // Attaches to the interfaces that `config` chooses where no program of an earlier run stands, and
  // leaves those for swap_programs(). An interface that refuses is an error if the configuration
  // names it; otherwise the log says so, and it is uncovered.
  static Result<TcAttachments> make(const PartConfig& config, int program_fd, Undo& undo);

  // Puts the program in place of that of an earlier run, and takes that from interfaces that are
  // not configured any more.
  Result<void> swap_programs();

  // Attaches where an interface came or the program is gone, and lets go of those that the
  // configuration does not choose any more.
  void follow();

  // With mode "tc".
  std::vector<XdpState> states() const;

  // The programs of others that run before it on an interface, each as "ingress NAME".
  std::vector<std::string> programs_before(const std::string& interface) const;

  // Names of the interfaces with the program, and of those that are named and gone.
  const std::vector<std::string>& interfaces() const { return interfaces_; }

  // Ways into the host that the program does not see, as of the last start or follow().
  const std::vector<Uncovered>& uncovered() const { return uncovered_; }

  // A line for each interface that trap-guard has at XDP: it judges before this program does.
  std::vector<std::string> problems() const;

  std::vector<Pin> pins() const;

  // The programs of any run: for --detach, before the pins go, and for attach = "xdp". Returns from
  // how many interfaces.
  static unsigned detach(const std::string& pin_dir);

private:
  Result<void> take(const HostInterface& interface, Undo& undo) const;
  Result<void> attach(const std::string& interface, Undo& undo) const;
  void refuse(const std::string& interface, const std::string& reason);
  bool stands(const std::string& interface) const;
  void look_for_uncovered(const std::vector<HostInterface>& all);

  std::vector<std::string> interfaces_; // chosen, or named and gone
  std::map<std::string, std::string> refused_;
  std::vector<Uncovered> uncovered_;
  Decapsulation decapsulation_;
  std::vector<std::string> names_, except_;
  std::string pin_dir_;
  int program_fd_ = -1;
  Fd earlier_;
};

} // namespace trap::server
