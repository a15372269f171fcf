// SPDX-License-Identifier: Apache-2.0
// Follows the handshakes that went up to the stack: the number handed to the tc program, and for a
// sample whether the stack made connections of them (server/bpf/watched_handovers.bpf.h).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "runtime/kernel/bpf_map.h"
#include "server/daemon/plan/server_plan.h"
#include "server/daemon/serving/listener_inspector.h"
#include "server/daemon/serving/shortfall.h"
#include "server/daemon/watch/sampled_networks.h"
#include "server/maps.h"

namespace trap::server {

using WatchedHandovers = std::array<trap_watched_handover, TRAP_WATCHED_HANDOVERS>;

class HandoverSampler {
public:
  // The maps outlive this.
  Result<void> open(int watched_fd, int handed_fd);

  // Did the queue of a service's listener overflow after a time? The handshake may have been
  // dropped there, which is the service's own doing.
  using Overflowed = std::function<bool(const Endpoint& address, std::uint64_t after_ns)>;

  // Once a second: judges the handshakes that went up a while ago. now_ns: CLOCK_MONOTONIC.
  void advance(const ServerPlan& plan, const ListenerInspector& inspector,
               const Overflowed& overflowed, std::uint64_t now_ns);

  // Handshakes that went up before are not judged: the host may have changed since.
  void forget_before(std::uint64_t monotonic_ns);

  // Of one address of a service, since the start.
  Samples samples(const Endpoint& address) const;

  // A few clients whose handshakes were lost just now, by TRAP's own cookies or by the kernel's.
  std::vector<SampledClient> last_losers(const Endpoint& address, bool by_kernel) const;

  // Handshakes given to the tc program in all.
  std::uint64_t handed(std::uint32_t slot) const;

private:
  struct Sampled {
    Samples counts;
    SampledNetworks own, kernel;
  };

  void note(const trap_watched_handover& watched, const PlannedService& planned,
            const ListenerInspector& inspector, const Overflowed& overflowed);

  MappedValue<WatchedHandovers> watched_;
  int handed_fd_ = -1;
  std::map<Endpoint, Sampled> samples_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t forgotten_ns_ = 0;
};

} // namespace trap::server
