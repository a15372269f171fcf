// SPDX-License-Identifier: Apache-2.0
// Brings trap-guard's maps from what an earlier run left to what the configuration says, failing closed on the way.
#ifndef TRAP_GUARD_DAEMON_GUARD_MAPS_H
#define TRAP_GUARD_DAEMON_GUARD_MAPS_H

#include <map>

#include "guard/daemon/guard_config.h"
#include "guard/maps.h"

namespace trap::guard {

struct MapFds {
  int ports = -1;
  int services = -1;
  int trap_servers = -1;
  int trusted = -1;
  int announced = -1;
  int flows = -1;
  int counters = -1;
};

// Service slot of each port.
using PortSlots = std::map<std::uint16_t, std::uint32_t>;

// Slots as an earlier run left them.
PortSlots read_port_slots(const MapFds& fds);

// A slot for each configured port: the one it had, or a free one.
Result<PortSlots> plan_slots(const GuardConfig& config, const PortSlots& earlier);

Result<void> write_maps(const MapFds& fds, const GuardConfig& config, const PortSlots& slots, const PortSlots& earlier);

// Announcements that still hold, and flows that are not idle.
std::uint64_t count_announced(int announced_fd, std::uint32_t unix_s);
std::uint64_t count_flows(int flows_fd, std::uint64_t monotonic_ns);

} // namespace trap::guard

#endif
