// SPDX-License-Identifier: Apache-2.0
// Keeps trap-client's filters on the interfaces that the configuration names or matches, as
// interfaces come, change and go.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/daemon/running/running_client.h"

namespace trap::client {

class InterfaceKeeper {
public:
  // `client` outlives this.
  explicit InterfaceKeeper(RunningClient& client) : client_(client) {}

  // Attaches at the start. An interface that does not exist yet is a problem, not an error; one
  // that exists and refuses is an error if the configuration names it.
  Result<void> attach_at_start(Undo& undo);

  // Attaches and detaches until the interfaces are as the configuration in force wants them.
  void follow();

  // Tells the log of programs of others that come to run before ours at tc, or no longer do. Asks
  // the kernel every few seconds.
  void watch_others();

private:
  void attach_late(const PlannedInterface& interface);
  void tell_of_others(const PlannedInterface& interface);

  RunningClient& client_;
  std::map<std::string, std::vector<std::string>> before_; // by interface: others' programs
  std::chrono::steady_clock::time_point look_again_{};     // for them
  std::set<std::string> refused_; // interfaces that refused filters, and the log says so
};

} // namespace trap::client
