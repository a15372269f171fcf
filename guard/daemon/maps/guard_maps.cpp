// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/maps/guard_maps.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <sodium.h>

#include "protocol/wire.h"
#include "runtime/config/token_rate.h"
#include "runtime/kernel/counters.h"
#include "runtime/kernel/index_keeper.h"
#include "runtime/keys/clock_writer.h"

namespace trap::guard {
namespace {

constexpr __u32 port_count = 65536;

bool is_trap_server(const GuardConfig& config, const trap_address& address) {
  return std::ranges::any_of(config.trap_servers, [&](const trap_address& other) {
    return trap_address_equal(&address, &other);
  });
}

trap_trusted_key key_of(const Prefix& prefix) {
  trap_trusted_key key = {.bits = prefix.bits, .address = {}};
  std::memcpy(key.address, prefix.address.bytes, sizeof(key.address));
  return key;
}

bool is_trusted(const GuardConfig& config, const trap_trusted_key& key) {
  return std::ranges::any_of(config.trusted, [&](const Prefix& prefix) {
    const trap_trusted_key other = key_of(prefix);
    return std::memcmp(&key, &other, sizeof(key)) == 0;
  });
}

bool is_full(int failed) {
  return failed == -ENOSPC || failed == -E2BIG;
}

// One change of all maps, step by step.
class Writer {
public:
  Writer(const MapFds& fds, const GuardConfig& config, MapStore& store)
      : fds_(fds), config_(config), store_(store) {}

  Result<void> remove_ports(const PortSlots& slots, const PortSlots& earlier);
  Result<void> write_trap_servers();
  Result<void> add_trusted();
  Result<void> remove_trusted();
  Result<void> close_changing_tags();
  Result<void> write_pools();
  Result<void> remove_pools();
  Result<void> write_classes();
  Result<void> write_ports(const PortSlots& slots, const PortSlots& earlier);

private:
  Result<void> remove_trap_servers();
  Result<void> add_pools();
  Result<void> write_tag(__u32 tag, __u32 pool);
  template <class Limits>
  Result<void> write_limits(int fd, const char* map,
                            const std::array<Limits, TRAP_GUARD_TAGS>& limits);

  const MapFds& fds_;
  const GuardConfig& config_;
  MapStore& store_;
};

Result<void> Writer::remove_ports(const PortSlots& slots, const PortSlots& earlier) {
  for (const auto& [port, slot] : earlier) {
    if (slots.contains(port))
      continue;
    if (auto written = store_.write(fds_.ports, "ports", __u32{port}, trap_guard_port{}); !written)
      return written.error();
  }
  return {};
}

Result<void> Writer::remove_trap_servers() {
  for (const auto& address : store_.keys<trap_address>(fds_.trap_servers)) {
    if (is_trap_server(config_, address))
      continue;
    if (auto removed = store_.remove(fds_.trap_servers, "trap_servers", address); !removed)
      return removed.error();
  }
  return {};
}

// A TRAP server that stays keeps what is known of it.
Result<void> Writer::write_trap_servers() {
  for (const trap_address& address : config_.trap_servers) {
    const trap_guard_peer fresh = {};
    int failed = store_.update(fds_.trap_servers, &address, &fresh, BPF_NOEXIST);
    if (is_full(failed)) { // with those that go
      if (auto removed = remove_trap_servers(); !removed)
        return removed.error();
      failed = store_.update(fds_.trap_servers, &address, &fresh, BPF_NOEXIST);
    }
    if (failed && failed != -EEXIST)
      return map_error("trap_servers", "write to", failed);
  }
  return remove_trap_servers();
}

Result<void> Writer::add_trusted() {
  constexpr __u8 yes = 1;
  for (const Prefix& prefix : config_.trusted) {
    const trap_trusted_key key = key_of(prefix);
    int failed = store_.update(fds_.trusted, &key, &yes, BPF_ANY);
    if (is_full(failed)) { // with those that go
      if (auto removed = remove_trusted(); !removed)
        return removed.error();
      failed = store_.update(fds_.trusted, &key, &yes, BPF_ANY);
    }
    if (failed)
      return map_error("trusted", "write to", failed);
  }
  return {};
}

// An error must be told: a peer that lost its trust would keep it.
Result<void> Writer::remove_trusted() {
  for (const auto& key : store_.keys<trap_trusted_key>(fds_.trusted)) {
    if (is_trusted(config_, key))
      continue;
    if (auto removed = store_.remove(fds_.trusted, "trusted", key); !removed)
      return removed.error();
  }
  return {};
}

Result<void> Writer::write_tag(__u32 tag, __u32 pool) {
  if (store_.read<__u32>(fds_.tag_pools, tag) == pool)
    return {};
  return store_.write(fds_.tag_pools, "tag_pools", tag, pool);
}

// A tag that goes to another pool is taken nowhere while addresses change.
Result<void> Writer::close_changing_tags() {
  const auto pools = pools_by_tag(config_.pools);
  for (__u32 tag = 0; tag < TRAP_GUARD_TAGS; tag++) {
    if (store_.read<__u32>(fds_.tag_pools, tag) == pools[tag])
      continue;
    if (auto written = write_tag(tag, TRAP_POOL_CHANGES); !written)
      return written.error();
  }
  return {};
}

Result<void> Writer::add_pools() {
  for (const auto& [prefix, pool] : pools_by_address(config_.pools)) {
    const trap_trusted_key key = key_of(prefix);
    int failed = store_.update(fds_.pools, &key, &pool, BPF_ANY);
    if (is_full(failed)) { // with those that go
      if (auto removed = remove_pools(); !removed)
        return removed.error();
      failed = store_.update(fds_.pools, &key, &pool, BPF_ANY);
    }
    if (failed)
      return map_error("pools", "write to", failed);
  }
  return {};
}

Result<void> Writer::write_pools() {
  if (auto added = add_pools(); !added)
    return added.error();
  if (auto removed = remove_pools(); !removed)
    return removed.error();
  const auto pools = pools_by_tag(config_.pools);
  for (__u32 tag = 0; tag < TRAP_GUARD_TAGS; tag++) {
    if (auto written = write_tag(tag, pools[tag]); !written)
      return written.error();
  }
  return {};
}

// An address that leaves its pool would go on to take no other tickets.
Result<void> Writer::remove_pools() {
  const auto wanted = pools_by_address(config_.pools);
  for (const auto& key : store_.keys<trap_trusted_key>(fds_.pools)) {
    if (std::ranges::any_of(wanted, [&](const auto& entry) {
          const trap_trusted_key other = key_of(entry.first);
          return std::memcmp(&key, &other, sizeof(key)) == 0;
        }))
      continue;
    if (auto removed = store_.remove(fds_.pools, "pools", key); !removed)
      return removed.error();
  }
  return {};
}

template <class Limits>
Result<void> Writer::write_limits(int fd, const char* map,
                                  const std::array<Limits, TRAP_GUARD_TAGS>& limits) {
  for (__u32 tag = 0; tag < TRAP_GUARD_TAGS; tag++) {
    const auto present = store_.read<Limits>(fd, tag);
    if (present && std::memcmp(&*present, &limits[tag], sizeof(*present)) == 0)
      continue;
    if (auto written = store_.write(fd, map, tag, limits[tag]); !written)
      return written.error();
  }
  return {};
}

Result<void> Writer::write_classes() {
  if (auto written = write_limits(fds_.classes, "classes", classes_by_tag(config_.classes));
      !written)
    return written.error();
  return write_limits(fds_.network_classes, "network_classes",
                      network_classes_by_tag(config_.classes));
}

// A slot may have been another port's: its counters start again.
Result<void> Writer::write_ports(const PortSlots& slots, const PortSlots& earlier) {
  for (const ServiceConfig& service : config_.services) {
    const __u32 slot = slots.at(service.port);
    if (!earlier.contains(service.port)) {
      clear_counters(store_, fds_.counters, slot);
      clear_counters(store_, fds_.monitored, slot);
    }
    const trap_guard_port port = {
        .slot = static_cast<__u8>(slot),
        .scope_v4 = service.scope_v4,
        .scope_v6 = service.scope_v6,
        .flags = static_cast<__u8>(service.sockets_here ? TRAP_PORT_SOCKETS : 0)};
    if (auto written = store_.write(fds_.ports, "ports", __u32{service.port}, port); !written)
      return written.error();
  }
  return {};
}

void write_settings(trap_guard_settings& settings, const GuardConfig& config) {
  const __u32 flags =
      (config.trusted.empty() ? 0 : TRAP_GUARD_TRUSTS) |
      (config.pools.empty() ? 0 : TRAP_GUARD_POOLS) |
      (config.icmp_drops ? TRAP_GUARD_DROPS_ICMP : 0) |
      (config.stale_drops ? TRAP_GUARD_STALE_DROPS : 0) |
      (std::ranges::all_of(config.services, &ServiceConfig::sockets_here) ? 0
                                                                          : TRAP_GUARD_ELSEWHERE);
  __atomic_store_n(&settings.flags, flags, __ATOMIC_RELEASE);
  __atomic_store_n(&settings.clock_skew_s, config.clock_skew_s, __ATOMIC_RELEASE);
  publish_rate(settings.announced, budget_rate(config.announced_per_network_per_s));
}

} // namespace

PortSlots read_port_slots(const MapFds& fds, MapStore& store) {
  PortSlots slots;
  for (__u32 port = 0; port < port_count; port++) {
    const auto entry = store.read<trap_guard_port>(fds.ports, port);
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

// A port that goes is gone, and a port that comes is not there yet, while the rights of sources
// change. Among those, new ones are written before the flag that lets packets look for them, and
// old ones are removed after it. Pools change while no address takes the tags that move: a packet
// meets no pool that neither configuration has.
Result<void> write_maps(const MapFds& fds, trap_guard_settings& settings, const GuardConfig& config,
                        const PortSlots& slots, const PortSlots& earlier, MapStore& store) {
  Writer writer(fds, config, store);
  if (auto removed = writer.remove_ports(slots, earlier); !removed)
    return removed.error();
  if (auto written = writer.write_trap_servers(); !written)
    return written.error();
  if (auto written = writer.write_classes(); !written)
    return written.error();
  if (auto added = writer.add_trusted(); !added)
    return added.error();
  if (auto closed = writer.close_changing_tags(); !closed)
    return closed.error();
  if (auto written = writer.write_pools(); !written)
    return written.error();
  write_settings(settings, config);
  if (auto removed = writer.remove_trusted(); !removed)
    return removed.error();
  return writer.write_ports(slots, earlier);
}

void forget_keys_of_others(trap_guard_settings& settings, const Secret& secret) {
  forget_foreign_keys(settings.ticket_keys,
                      [&](std::uint64_t epoch) { return derive_ticket_key(secret, epoch); });
  forget_foreign_keys(settings.announce_keys,
                      [&](std::uint64_t epoch) { return derive_announce_key(secret, epoch); });
}

void renew_settings(trap_guard_settings& settings, const Secret& secret,
                    const trap_clock_anchor& now) {
  const std::uint64_t epoch = trap_epoch(now.unix_ns);
  publish_clock(settings.clock, now);
  rotate_keyring(settings.ticket_keys, epoch,
                 [&](std::uint64_t wanted) { return derive_ticket_key(secret, wanted); });
  rotate_keyring(settings.announce_keys, epoch,
                 [&](std::uint64_t wanted) { return derive_announce_key(secret, wanted); });
  const std::uint64_t end_ns = std::min(keys_end_unix_ns(settings.ticket_keys, now.unix_ns),
                                        keys_end_unix_ns(settings.announce_keys, now.unix_ns));
  const std::uint64_t until_ns =
      end_ns > now.unix_ns ? now.monotonic_ns + (end_ns - now.unix_ns) : 0;
  __atomic_store_n(&settings.keys_until_ns, until_ns, __ATOMIC_RELEASE);
}

void make_table_keys(trap_guard_settings& settings) {
  if (settings.table_keys[0] == 0 && settings.table_keys[1] == 0)
    randombytes_buf(settings.table_keys, sizeof(settings.table_keys));
}

Result<FlowSecret> make_flow_secret(const MapFds& fds, MapStore& store) {
  FlowSecret secret;
  secret.keys = store.read<trap_flow_keys>(fds.flow_keys, __u32{0}).value_or(trap_flow_keys{});
  constexpr trap_flow_keys none = {};
  secret.is_fresh = std::memcmp(&secret.keys, &none, sizeof(none)) == 0;
  if (!secret.is_fresh)
    return secret;
  randombytes_buf(&secret.keys, sizeof(secret.keys));
  if (auto written = store.write(fds.flow_keys, "flow_keys", __u32{0}, secret.keys); !written)
    return written.error();
  return secret;
}

Result<trap_client_keys> make_client_secret(const MapFds& fds, MapStore& store) {
  constexpr trap_client_keys none = {};
  trap_client_keys keys = store.read<trap_client_keys>(fds.client_keys, __u32{0}).value_or(none);
  if (std::memcmp(&keys, &none, sizeof(none)) != 0)
    return keys;
  randombytes_buf(&keys, sizeof(keys));
  if (auto written = store.write(fds.client_keys, "client_keys", __u32{0}, keys); !written)
    return written.error();
  return keys;
}

trap_guard_peer read_peer(const MapFds& fds, const trap_address& address, MapStore& store) {
  return store.read<trap_guard_peer>(fds.trap_servers, address).value_or(trap_guard_peer{});
}

} // namespace trap::guard
