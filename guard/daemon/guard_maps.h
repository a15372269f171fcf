// SPDX-License-Identifier: Apache-2.0
// Brings trap-guard's maps from what an earlier run left to what the configuration says, failing
// closed on the way.
#pragma once

#include <map>

#include "guard/daemon/guard_config.h"
#include "guard/maps.h"

namespace trap::guard {

struct MapFds {
  int ports = -1;
  int classes = -1;
  int trap_servers = -1;
  int trusted = -1;
  int admitted = -1;
  int counters = -1;
  int monitored = -1;
};

// Sizes of the tables of flows and announced clients.
constexpr std::uint32_t flow_buckets(const GuardConfig& config) {
  return config.max_flows / TRAP_FLOW_WAYS;
}
constexpr std::uint32_t announced_buckets(const GuardConfig& config) {
  return config.max_clients / TRAP_ANNOUNCED_WAYS;
}

// Service slot of each port.
using PortSlots = std::map<std::uint16_t, std::uint32_t>;

// Slots as an earlier run left them.
PortSlots read_port_slots(const MapFds& fds);

// A slot for each configured port: the one it had, or a free one.
Result<PortSlots> plan_slots(const GuardConfig& config, const PortSlots& earlier);

Result<void> write_maps(const MapFds& fds, const GuardConfig& config, const PortSlots& slots,
                        const PortSlots& earlier);

// What is no map's but the settings': flags, skew and the rate of announcements. The trusted
// prefixes are in their map before.
void write_settings(trap_guard_settings& settings, const GuardConfig& config);

// Keys for the places in tables, unless an earlier run left some, by which its entries lie.
void make_table_keys(trap_guard_settings& settings);

// What is known of a TRAP server.
trap_guard_peer read_peer(const MapFds& fds, const trap_address& address);

} // namespace trap::guard
