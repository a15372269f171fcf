// SPDX-License-Identifier: Apache-2.0
// The tables of flows and announced clients as the daemon sees them: in its own memory, while
// packets change them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>

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

// Puts flows that lie where an earlier version put them where `secret` wants them, as far as there
// is room. Returns how many it moved.
std::uint64_t place_flows(std::span<trap_flow_bucket> flows, const trap_flow_keys& secret,
                          std::uint64_t monotonic_ns);

// Key of map `admitted` by its bytes.
struct ClientOrder {
  bool operator()(const trap_guard_client_key& a, const trap_guard_client_key& b) const {
    return std::memcmp(&a, &b, sizeof(a)) < 0;
  }
};
using OpenFlows = std::map<trap_guard_client_key, std::uint32_t, ClientOrder>;

// Flows that count among their client's open ones. A port that is not protected has none.
OpenFlows count_open_flows(FlowBuckets flows, const GuardConfig& config, const PortSlots& slots,
                           std::uint64_t monotonic_ns);

// The same of networks.
using Networks = std::array<trap_network, TRAP_NETWORKS>;
using OpenNetworkFlows = std::map<std::uint64_t, std::uint32_t>; // by trap_network_key()
OpenNetworkFlows count_open_network_flows(const OpenFlows& clients);
void correct_network_counts(Networks& networks, const OpenNetworkFlows& open);

// Corrects what the program counted: it does not see every flow end. `correct_fd` is that of
// program trap_guard_correct. Returns how many clients there are.
std::uint64_t correct_flow_counts(int admitted_fd, int correct_fd, const OpenFlows& open);

} // namespace trap::guard
