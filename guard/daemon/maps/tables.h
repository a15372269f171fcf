// SPDX-License-Identifier: Apache-2.0
// The tables of flows and clients as the daemon sees them: in its own memory, while
// packets change them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <vector>

#include "guard/daemon/maps/guard_maps.h"
#include "guard/tables.h"
#include "runtime/config/endpoint.h"

namespace trap::guard {

using FlowBuckets = std::span<const trap_flow_bucket>;
using AnnouncedBuckets = std::span<const trap_announced_bucket>;

// Flows that are not idle, by state.
struct FlowCounts {
  std::uint64_t half_open = 0;
  std::uint64_t established = 0;
  std::uint64_t closing = 0;

  std::uint64_t all() const { return half_open + established + closing; }
};
FlowCounts count_flows(FlowBuckets open, FlowBuckets half_open, std::uint64_t monotonic_ns);

// Announcements that still hold.
std::uint64_t count_announced(AnnouncedBuckets announced, std::uint32_t unix_s);

bool has_flow(FlowBuckets flows, const trap_flow_key& key, const trap_flow_keys& secret,
              std::uint64_t monotonic_ns);

// Enters a flow, or an announcement, of another table where the program will look for it, unless it
// is there. False if there is no room. The program may be at work on the table.
bool place_flow(std::span<trap_flow_bucket> flows, const trap_flow_entry& flow,
                const trap_flow_keys& secret, std::uint64_t monotonic_ns);
bool place_announced(std::span<trap_announced_bucket> announced, const trap_announced_entry& entry,
                     const __u64 table_keys[2]);

// The same of a client's budgets, by its print.
bool place_client(std::span<trap_client_bucket> clients, std::uint64_t print,
                  const trap_guard_client& client);

// The entry of a client; null if there is none.
trap_guard_client* find_client(std::span<trap_client_bucket> clients, std::uint64_t print);

// Keys of clients by their bytes.
struct ClientOrder {
  bool operator()(const trap_guard_client_key& a, const trap_guard_client_key& b) const {
    return std::memcmp(&a, &b, sizeof(a)) < 0;
  }
};
using OpenFlows = std::map<trap_guard_client_key, std::uint32_t, ClientOrder>;

// Flows of services whose sockets are this host's that close, without having ended, and are about
// to be over by their silence.
std::vector<trap_flow_entry*> find_fading(std::span<trap_flow_bucket> flows,
                                          const GuardConfig& config, std::uint64_t monotonic_ns);

// Takes the closing back of those whose socket is among the `established`: a FIN or RST that the
// stack ignores ends no flow, however silent it is. Returns how many they were.
std::uint64_t revive_flows(const std::vector<trap_flow_entry*>& fading,
                           std::vector<trap_flow_key> established, std::uint64_t monotonic_ns);

// Connections with budgets, since the last call, that opened, or were reset by their client,
// without their SYN-ACK being seen.
std::uint64_t take_unseen(std::span<trap_flow_bucket> flows);

// Flows that count among their client's open ones. A port that is not protected has none.
OpenFlows count_open_flows(FlowBuckets flows, const GuardConfig& config, const PortSlots& slots,
                           std::uint64_t monotonic_ns);

// The same of networks.
using Networks = std::array<trap_network, TRAP_NETWORKS>;
using OpenNetworkFlows = std::map<std::uint64_t, std::uint32_t>; // by trap_network_key()
OpenNetworkFlows count_open_network_flows(const OpenFlows& clients);
void correct_network_counts(Networks& networks, const OpenNetworkFlows& open);

// Corrects what the program counted: it does not see every flow end. Returns how many clients there
// are.
std::uint64_t correct_flow_counts(std::span<trap_client_bucket> clients, const OpenFlows& open,
                                  const trap_client_keys& secret);

} // namespace trap::guard
