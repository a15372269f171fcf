// SPDX-License-Identifier: Apache-2.0
// Follows the networks that this host is in, and forgets redirects that were learnt in a network
// that is another now.
#pragma once

#include <optional>

#include "client/daemon/redirects/network_change.h"
#include "client/daemon/running/running_client.h"
#include "runtime/net/host_networks.h"

namespace trap::client {

class NetworkKeeper {
public:
  // `client` outlives this.
  explicit NetworkKeeper(RunningClient& client) : client_(client) {}

  Result<void> begin();

  // An interface or an address changed.
  void handle_event();

  // For every second: routes, gateways' link-layer addresses, and whether the host slept.
  void tick();

private:
  bool follow_if_due();
  void follow();
  void take(HostNetworks now);
  void forget(const NetworkChange& change);
  Result<void> publish_routing(const HostRouting* routing);

  RunningClient& client_;
  SleepWatch sleep_;
  Fd routes_;                            // tells when one changes
  bool changed_ = false;                 // since the networks were read
  std::uint64_t read_again_ns_ = 0;      // not before: a list of a million routes takes a second
  std::optional<HostNetworks> networks_; // as they were last
};

} // namespace trap::client
