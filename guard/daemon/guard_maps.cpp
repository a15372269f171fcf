// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_maps.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>
#include <sodium.h>

#include "protocol/wire.h"
#include "runtime/config/token_rate.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/counters.h"
#include "runtime/kernel/index_keeper.h"

namespace trap::guard {
namespace {

constexpr __u32 kPorts = 65536;

Result<void> write_trap_servers(const MapFds& fds, const GuardConfig& config) {
  for (const trap_address& address : config.trap_servers) {
    const trap_guard_peer fresh = {};
    int failed = bpf_map_update_elem(fds.trap_servers, &address, &fresh,
                                     BPF_NOEXIST); // what is known of one that stays is kept
    if (failed && failed != -EEXIST)
      return map_error("trap_servers", "write to", failed);
  }
  for (const auto& address : map_keys<trap_address>(fds.trap_servers)) {
    bool wanted = std::any_of(
        config.trap_servers.begin(), config.trap_servers.end(),
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
    bool wanted =
        std::any_of(config.trusted.begin(), config.trusted.end(), [&](const Prefix& prefix) {
          const trap_trusted_key other = key_of(prefix);
          return std::memcmp(&key, &other, sizeof(key)) == 0;
        });
    if (!wanted && bpf_map_delete_elem(fds.trusted, &key) != 0)
      return map_error("trusted", "delete from",
                       errno); // or a peer that lost its trust would keep it
  }
  for (const Prefix& prefix : config.trusted) {
    if (auto written = map_write(fds.trusted, "trusted", key_of(prefix), __u8{1}); !written)
      return written.error();
  }
  return {};
}

Result<void> write_classes(const MapFds& fds, const GuardConfig& config) {
  const auto classes = classes_by_tag(config.classes);
  for (__u32 tag = 0; tag < TRAP_GUARD_TAGS; tag++) {
    const auto present = map_read<trap_guard_class>(fds.classes, tag);
    if (present && std::memcmp(&*present, &classes[tag], sizeof(*present)) == 0)
      continue;
    if (auto written = map_write(fds.classes, "classes", tag, classes[tag]); !written)
      return written.error();
  }
  return {};
}

Result<void> write_ports(const MapFds& fds, const GuardConfig& config, const PortSlots& slots,
                         const PortSlots& earlier) {
  CounterReader counters(fds.counters);
  CounterReader monitored(fds.monitored);
  for (const ServiceConfig& service : config.services) {
    const __u32 slot = slots.at(service.port);
    if (!earlier.contains(service.port)) { // the slot may have been another's
      counters.clear(slot);
      monitored.clear(slot);
    }
    const trap_guard_port port = {
        .slot = static_cast<__u8>(slot),
        .scope_v4 = service.scope_v4,
        .scope_v6 = service.scope_v6,
        .flags = static_cast<__u8>(service.sockets_here ? TRAP_PORT_SOCKETS : 0)};
    if (auto written = map_write(fds.ports, "ports", __u32{service.port}, port); !written)
      return written.error();
  }
  for (const auto& [port, slot] : earlier) {
    if (slots.contains(port))
      continue;
    if (auto written = map_write(fds.ports, "ports", __u32{port}, trap_guard_port{}); !written)
      return written.error();
  }
  return {};
}

} // namespace

PortSlots read_port_slots(const MapFds& fds) {
  PortSlots slots;
  for (__u32 port = 0; port < kPorts; port++) {
    const auto entry = map_read<trap_guard_port>(fds.ports, port);
    if (entry && entry->slot != 0)
      slots[static_cast<std::uint16_t>(port)] = entry->slot;
  }
  return slots;
}

Result<PortSlots> plan_slots(const GuardConfig& config, const PortSlots& earlier) {
  std::vector<std::uint16_t> ports;
  for (const ServiceConfig& service : config.services)
    ports.push_back(service.port);
  auto slots = keep_indexes(ports, earlier, 1, TRAP_GUARD_MAX_SERVICES);
  if (!slots)
    return Error{fmt::format("{}: more services than there is room for", config.part.path),
                 ExitCode::usage};
  return *slots;
}

Result<void> write_maps(const MapFds& fds, const GuardConfig& config, const PortSlots& slots,
                        const PortSlots& earlier) {
  if (auto written = write_trap_servers(fds, config); !written)
    return written.error();
  if (auto written = write_trusted(fds, config); !written)
    return written.error();
  if (auto written = write_classes(fds, config); !written)
    return written.error();
  return write_ports(fds, config, slots, earlier);
}

void write_settings(trap_guard_settings& settings, const GuardConfig& config) {
  const __u32 flags = (config.trusted.empty() ? 0 : TRAP_GUARD_TRUSTS) |
                      (config.icmp_drops ? TRAP_GUARD_DROPS_ICMP : 0) |
                      (config.stale_drops ? TRAP_GUARD_STALE_DROPS : 0);
  const trap_rate announced = budget_rate(config.announced_per_network_per_s);
  __atomic_store_n(&settings.flags, flags, __ATOMIC_RELEASE);
  __atomic_store_n(&settings.clock_skew_s, config.clock_skew_s, __ATOMIC_RELEASE);
  __atomic_store_n(&settings.announced.burst_ns, announced.burst_ns, __ATOMIC_RELEASE);
  __atomic_store_n(&settings.announced.chunk, announced.chunk, __ATOMIC_RELEASE);
  __atomic_store_n(&settings.announced.token_ns, announced.token_ns, __ATOMIC_RELEASE);
}

void make_table_keys(trap_guard_settings& settings) {
  if (settings.table_keys[0] == 0 && settings.table_keys[1] == 0)
    randombytes_buf(settings.table_keys, sizeof(settings.table_keys));
}

trap_guard_peer read_peer(const MapFds& fds, const trap_address& address) {
  return map_read<trap_guard_peer>(fds.trap_servers, address).value_or(trap_guard_peer{});
}

} // namespace trap::guard
