// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/maps/tables.h"

#include <vector>

#include "runtime/kernel/bpf_map.h"

namespace trap::guard {
namespace {

struct ProtectedPort {
  std::uint32_t slot = 0;
  std::uint8_t scope_v4 = 0;
  std::uint8_t scope_v6 = 0;
};

std::map<__be16, ProtectedPort> protected_ports(const GuardConfig& config, const PortSlots& slots) {
  std::map<__be16, ProtectedPort> ports;
  for (const ServiceConfig& service : config.services)
    ports[TRAP_BE16(service.port)] = {slots.at(service.port), service.scope_v4, service.scope_v6};
  return ports;
}

trap_guard_client_key client_of(const trap_address& address, const ProtectedPort& port) {
  const trap_family family = family_of(address);
  trap_guard_client_key key = {};
  key.prefix =
      trap_address_mask(address, family, family == TRAP_IPV4 ? port.scope_v4 : port.scope_v6);
  key.slot = port.slot;
  return key;
}

} // namespace

std::uint64_t count_flows(FlowBuckets flows, std::uint64_t monotonic_ns) {
  std::uint64_t count = 0;
  for (const trap_flow_bucket& bucket : flows) {
    for (const trap_flow_entry& entry : bucket.entries)
      count += trap_flow_is_live(&entry.value, monotonic_ns);
  }
  return count;
}

std::uint64_t count_announced(AnnouncedBuckets announced, std::uint32_t unix_s) {
  std::uint64_t count = 0;
  for (const trap_announced_bucket& bucket : announced) {
    for (const trap_announced_entry& entry : bucket.entries)
      count += entry.value.until_s > unix_s;
  }
  return count;
}

bool has_flow(FlowBuckets flows, const trap_flow_key& key, const __u64 table_keys[2],
              std::uint64_t monotonic_ns) {
  const __u64 hash = trap_flow_hash(&key, table_keys);
  for (int second = 0; second < 2; second++) {
    const trap_flow_bucket& bucket =
        flows[trap_flow_bucket_index(hash, second, static_cast<__u32>(flows.size()))];
    for (const trap_flow_entry& entry : bucket.entries) {
      if (trap_flow_is_live(&entry.value, monotonic_ns) && trap_flow_key_equal(&entry.key, &key))
        return true;
    }
  }
  return false;
}

OpenFlows count_open_flows(FlowBuckets flows, const GuardConfig& config, const PortSlots& slots,
                           std::uint64_t monotonic_ns) {
  const auto ports = protected_ports(config, slots);
  OpenFlows open;
  for (const trap_flow_bucket& bucket : flows) {
    for (const trap_flow_entry& entry : bucket.entries) {
      if (!trap_flow_is_live(&entry.value, monotonic_ns) ||
          (entry.value.flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_CLOSING)) != TRAP_FLOW_BUDGETED)
        continue;
      if (auto port = ports.find(entry.key.service_port); port != ports.end())
        open[client_of(entry.key.client, port->second)]++;
    }
  }
  return open;
}

std::uint64_t correct_flow_counts(int admitted_fd, const OpenFlows& open) {
  std::vector<trap_guard_client_key> wrong;
  std::uint64_t clients = 0;
  const auto right_count = [&](const trap_guard_client_key& key) {
    auto at = open.find(key);
    return at == open.end() ? 0 : at->second;
  };
  map_visit<trap_guard_client_key, trap_guard_client>(
      admitted_fd, [&](const trap_guard_client_key& key, const trap_guard_client& client) {
        clients++;
        if (client.flows != right_count(key))
          wrong.push_back(key);
      });
  // The budgets beside the count are the program's: read again just before, so that next to nothing
  // of what they pay is lost.
  for (const trap_guard_client_key& key : wrong) {
    if (auto client = map_read<trap_guard_client>(admitted_fd, key)) {
      client->flows = right_count(key);
      bpf_map_update_elem(admitted_fd, &key, &*client, BPF_EXIST);
    }
  }
  return clients;
}

} // namespace trap::guard
