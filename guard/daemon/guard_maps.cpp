// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_maps.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

#include "protocol/wire.h"
#include "runtime/bpf_map.h"
#include "runtime/counters.h"
#include "runtime/index_keeper.h"

namespace trap::guard {
namespace {

constexpr __u32 kPorts = 65536;

Result<void> write_trap_servers(const MapFds& fds, const GuardConfig& config) {
  for (const trap_address& address : config.trap_servers) {
    if (auto written = map_write(fds.trap_servers, "trap_servers", address, __u8{1}); !written)
      return written.error();
  }
  for (const auto& address : map_keys<trap_address>(fds.trap_servers)) {
    bool wanted = std::any_of(config.trap_servers.begin(), config.trap_servers.end(),
                              [&](const trap_address& other) { return trap_address_equal(&address, &other); });
    if (!wanted)
      bpf_map_delete_elem(fds.trap_servers, &address);
  }
  return {};
}

trap_trusted_key key_of(const Prefix& prefix) {
  trap_trusted_key key = {.bits = prefix.bits, .address = {}};
  std::memcpy(key.address, prefix.address.bytes, sizeof(key.address));
  return key;
}

// Removes before it adds, so that there is room; a prefix that stays is trusted all the time.
Result<void> write_trusted(const MapFds& fds, const GuardConfig& config) {
  for (const auto& key : map_keys<trap_trusted_key>(fds.trusted)) {
    bool wanted = std::any_of(config.trusted.begin(), config.trusted.end(), [&](const Prefix& prefix) {
      const trap_trusted_key other = key_of(prefix);
      return std::memcmp(&key, &other, sizeof(key)) == 0;
    });
    if (!wanted && bpf_map_delete_elem(fds.trusted, &key) != 0)
      return map_error("trusted", "delete from", errno); // or a peer that lost its trust would keep it
  }
  for (const Prefix& prefix : config.trusted) {
    if (auto written = map_write(fds.trusted, "trusted", key_of(prefix), __u8{1}); !written)
      return written.error();
  }
  return {};
}

} // namespace

PortSlots read_port_slots(const MapFds& fds) {
  PortSlots slots;
  for (__u32 port = 0; port < kPorts; port++) {
    auto slot = map_read<__u32>(fds.ports, port);
    if (slot && *slot != 0)
      slots[static_cast<std::uint16_t>(port)] = *slot;
  }
  return slots;
}

Result<PortSlots> plan_slots(const GuardConfig& config, const PortSlots& earlier) {
  std::vector<std::uint16_t> ports;
  for (const ServiceConfig& service : config.services)
    ports.push_back(service.port);
  auto slots = keep_indexes(ports, earlier, 1, TRAP_GUARD_MAX_SERVICES);
  if (!slots)
    return Error{fmt::format("{}: more services than there is room for", config.part.path), ExitCode::usage};
  return *slots;
}

Result<void> write_maps(const MapFds& fds, const GuardConfig& config, const PortSlots& slots, const PortSlots& earlier) {
  if (auto written = write_trap_servers(fds, config); !written)
    return written.error();
  if (auto written = write_trusted(fds, config); !written)
    return written.error();
  CounterReader counters(fds.counters);
  for (const auto& [port, slot] : slots) {
    trap_guard_service service = {TRAP_SCOPE_V4, TRAP_SCOPE_V6, {}};
    if (auto written = map_write(fds.services, "services", slot, service); !written)
      return written.error();
    if (!earlier.contains(port))
      counters.clear(slot); // it may have been another's
    if (auto written = map_write(fds.ports, "ports", __u32{port}, slot); !written)
      return written.error();
  }
  for (const auto& [port, slot] : earlier) {
    if (slots.contains(port))
      continue;
    if (auto written = map_write(fds.ports, "ports", __u32{port}, __u32{0}); !written)
      return written.error();
  }
  return {};
}

std::uint64_t count_announced(int announced_fd, std::uint32_t unix_s) {
  std::uint64_t count = 0;
  map_visit<trap_announced_key, trap_announced>(
      announced_fd, [&](const trap_announced_key&, const trap_announced& entry) { count += entry.until_s > unix_s; });
  return count;
}

std::uint64_t count_flows(int flows_fd, std::uint64_t monotonic_ns) {
  std::uint64_t count = 0;
  map_visit<trap_flow_key, trap_guard_flow>(
      flows_fd, [&](const trap_flow_key&, const trap_guard_flow& flow) { count += flow.seen_ns + TRAP_FLOW_IDLE_NS > monotonic_ns; });
  return count;
}

} // namespace trap::guard
