// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/maps/tables.h"

#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf_common.h>

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

std::uint64_t correct_flow_counts(int admitted_fd, int correct_fd, const OpenFlows& open) {
  std::vector<trap_flows_change> changes;
  std::uint64_t clients = 0;
  map_visit<trap_guard_client_key, trap_guard_client>(
      admitted_fd, [&](const trap_guard_client_key& key, const trap_guard_client& client) {
        clients++;
        const auto at = open.find(key);
        const std::uint32_t right = at == open.end() ? 0 : at->second;
        if (client.flows != right)
          changes.push_back(
              {.client = key, .flows = static_cast<__s32>(right - client.flows), .reserved = 0});
      });
  // By a program, because an update from here would replace the whole entry, and with it what
  // packets have taken from its budgets in the meantime.
  for (trap_flows_change& change : changes) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.ctx_in = &change;
    options.ctx_size_in = sizeof(change);
    bpf_prog_test_run_opts(correct_fd, &options);
  }
  return clients;
}

} // namespace trap::guard
