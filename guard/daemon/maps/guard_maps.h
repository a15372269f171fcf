// SPDX-License-Identifier: Apache-2.0
// Brings trap-guard's maps from their present contents to those of a configuration. A packet meets
// its port's old or new entry and its source's old or new rights at every step, and at a port that
// comes or goes never a mixture. Needs only descriptors of maps: daemon, tests and benchmarks share
// it.
#pragma once

#include <algorithm>
#include <map>

#include "guard/daemon/config/guard_config.h"
#include "guard/maps.h"
#include "runtime/kernel/map_store.h"
#include "runtime/keys/key_derivation.h"

namespace trap::guard {

struct MapFds {
  int ports = -1;
  int classes = -1;
  int network_classes = -1;
  int trap_servers = -1;
  int trusted = -1;
  int pools = -1;
  int tag_pools = -1;
  int flow_keys = -1;
  int client_keys = -1;
  int counters = -1;
  int monitored = -1;
};

// Sizes of the tables of flows, clients, and the networks around new clients.
constexpr std::uint32_t flow_buckets(const GuardConfig& config) {
  return config.max_flows / TRAP_FLOW_WAYS;
}
constexpr std::uint32_t announced_buckets(const GuardConfig& config) {
  return config.max_clients / TRAP_ANNOUNCED_WAYS;
}
constexpr std::uint32_t client_buckets(const GuardConfig& config) {
  return config.max_clients / TRAP_CLIENT_WAYS;
}
constexpr std::uint32_t most_networks(const GuardConfig& config) {
  return std::min<std::uint32_t>(config.max_clients, TRAP_GUARD_NETWORKS);
}

// Slot of each protected port's service.
using PortSlots = std::map<std::uint16_t, std::uint32_t>;

// Slots as an earlier run left them.
PortSlots read_port_slots(const MapFds& fds, MapStore& store = kernel_maps());

// A slot for each configured port: its earlier one, or a free one.
Result<PortSlots> plan_slots(const GuardConfig& config, const PortSlots& earlier);

// Writes maps and settings: flags, clock skew and the rate of announcements. After an error part of
// the change is in the maps.
Result<void> write_maps(const MapFds& fds, trap_guard_settings& settings, const GuardConfig& config,
                        const PortSlots& slots, const PortSlots& earlier,
                        MapStore& store = kernel_maps());

// Clock, keys of the epochs around that of `now`, and until when the keys last. Keys that another
// secret made are to be forgotten before: forget_keys_of_others.
void renew_settings(trap_guard_settings& settings, const Secret& secret,
                    const trap_clock_anchor& now);
void forget_keys_of_others(trap_guard_settings& settings, const Secret& secret);

// Random keys for the places in tables, unless an earlier run left some, by which its entries lie.
void make_table_keys(trap_guard_settings& settings);

// The secret that places flows: the one that an earlier run left, or a random one.
struct FlowSecret {
  trap_flow_keys keys = {};
  bool is_fresh = false; // flows of an earlier version lie elsewhere
};
Result<FlowSecret> make_flow_secret(const MapFds& fds, MapStore& store = kernel_maps());

// The same of the secret that makes clients' prints.
Result<trap_client_keys> make_client_secret(const MapFds& fds, MapStore& store = kernel_maps());

// What is known of a TRAP server.
trap_guard_peer read_peer(const MapFds& fds, const trap_address& address,
                          MapStore& store = kernel_maps());

} // namespace trap::guard
