// SPDX-License-Identifier: Apache-2.0
// Redirects are stale when the network that they were learnt in is another one: it may have the
// same addresses, and another service, or an attacker, behind the same public one. No sockets or
// clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/net/host_networks.h"
#include "runtime/process/clock_watch.h"

namespace trap::client {

struct NetworkChange {
  std::vector<trap_address> addresses; // redirects for these local addresses are stale
  bool of_others = false;              // and so are those of hosts behind this one
  std::string why;                     // for the log; empty: nothing is stale

  bool any() const { return !why.empty(); }
};

// Compares what was seen with what is now. An interface's network is another one if its carrier was
// away, or its gateways are others, or one of them has another link-layer address. A local address
// that moved or went is stale by itself. `now` keeps link-layer addresses that the kernel has
// dropped.
NetworkChange compare_networks(const HostNetworks& before, HostNetworks& now,
                               const std::vector<unsigned>& uplinks);

// How far the clock that goes on while the host sleeps has left the other one.
class SleepWatch {
public:
  // Was the host asleep since the last call?
  bool slept(const ClockReading& now);

private:
  std::optional<std::int64_t> ahead_ns_;
};

} // namespace trap::client
