// SPDX-License-Identifier: Apache-2.0
// ServerMaps before and after a change: what an earlier run left in the maps, and what nothing
// leads to any more.
#include <algorithm>

#include <bpf/libbpf.h>

#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/counters.h"
#include "server/daemon/maps/server_maps.h"

namespace trap::server {
namespace {

std::map<std::string, std::uint32_t> find_guards(int fd, const std::set<std::string>& names,
                                                 const Secret& master, std::uint64_t epoch) {
  std::map<std::string, trap_key> keys;
  for (const std::string& name : names)
    keys[name] = derive_ticket_key(derive_guard_secret(master, name), epoch);
  std::map<std::string, std::uint32_t> guards;
  for (__u32 index = 0; index < TRAP_SERVER_MAX_GUARDS && !keys.empty(); index++) {
    auto guard = map_read<trap_server_guard>(fd, index);
    trap_key found;
    if (!guard || !trap_keyring_find(&guard->ticket_keys, epoch, &found))
      continue;
    auto at = std::find_if(keys.begin(), keys.end(),
                           [&](const auto& key) { return trap_key_equal(&key.second, &found); });
    if (at != keys.end())
      guards[at->first] = index;
  }
  return guards;
}

// Pools in use: the default pool of each service by its slot, the others, which have lost their
// names, under names nobody can give.
std::map<PoolKey, std::uint32_t> find_pools(int fd, const EarlierMaps& earlier) {
  std::map<PoolKey, std::uint32_t> pools;
  std::set<std::uint32_t> known;
  for (const auto& [address, slot] : earlier.slots) {
    const std::uint32_t index = earlier.services.at(address).pool;
    pools[{slot, ""}] = index;
    known.insert(index);
  }
  for (__u32 index = 0; index < TRAP_SERVER_MAX_POOLS; index++) {
    auto selection = map_read<trap_selection>(fd, index);
    if (selection && selection->backend_count != 0 && !known.contains(index))
      pools[{0, "#" + std::to_string(index)}] = index;
  }
  return pools;
}

Result<void> clear_stale_backends(int fd, const ServerPlan& plan) {
  for (__u32 index = 0; index < TRAP_SERVER_MAX_BACKENDS; index++) {
    auto backend = map_read<trap_backend>(fd, index);
    if (!backend || backend->port == 0 || plan.backends.contains(index))
      continue;
    if (auto written = map_write(fd, "backends", index, trap_backend{}); !written)
      return written.error();
  }
  return {};
}

Result<void> clear_stale_guards(int fd, const ServerPlan& plan) {
  std::set<std::uint32_t> wanted;
  for (const auto& [name, index] : plan.guards)
    wanted.insert(index);
  for (__u32 index = 0; index < TRAP_SERVER_MAX_GUARDS; index++) {
    if (wanted.contains(index))
      continue;
    if (auto written = map_write(fd, "guards", index, trap_server_guard{}); !written)
      return written.error();
  }
  return {};
}

Result<void> clear_stale_pools(int fd, const MapContents& contents) {
  const trap_selection empty = {};
  for (__u32 index = 0; index < TRAP_SERVER_MAX_POOLS; index++) {
    auto selection = map_read<trap_selection>(fd, index);
    if (!selection || selection->backend_count == 0 || contents.pools.contains(index))
      continue;
    if (auto written = map_write(fd, "selections", index, empty); !written)
      return written.error();
  }
  return {};
}

} // namespace

EarlierMaps ServerMaps::read(const std::set<std::string>& names, const Secret& master,
                             std::uint64_t epoch) {
  EarlierMaps earlier;
  map_visit<__u32, trap_place>(
      fds_.places, [this](const __u32& at, const trap_place& place) { places_[at] = place; });
  earlier.slots = services_in(places_);
  for (const auto& [address, slot] : earlier.slots)
    earlier.services[address] =
        map_read<trap_service>(fds_.services, slot).value_or(trap_service{});
  for (__u32 index = 0; index < TRAP_SERVER_MAX_BACKENDS; index++) {
    auto backend = map_read<trap_backend>(fds_.backends, index);
    if (backend && backend->port != 0)
      earlier.backends[backend_key(*backend)] = index;
  }
  earlier.guards = find_guards(fds_.guards, names, master, epoch);
  earlier.pools = find_pools(fds_.selections, earlier);
  return earlier;
}

// A slot may have been another's: counters and cap start again.
void ServerMaps::clear_new_slots(const ServerPlan& plan, const EarlierMaps& earlier) {
  CounterReader counters(fds_.counters);
  const std::vector<__u64> nothing(
      static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus())));
  const trap_cap full = {};
  for (const PlannedService& planned : plan.services) {
    if (earlier.slots.contains(planned.address))
      continue;
    const __u32 cap = TRAP_CAP_SERVICE + planned.slot;
    counters.clear(planned.slot);
    bpf_map_update_elem(fds_.caps, &cap, &full, BPF_ANY);
    bpf_map_update_elem(fds_.allowances, &cap, nothing.data(), BPF_ANY);
  }
}

Result<void> ServerMaps::remove_stale(const ServerPlan& plan, const MapContents& contents) {
  for (__u32 slot = 0; slot < TRAP_SERVER_MAX_SERVICES; slot++) {
    __u32 trie_id;
    if (!contents.policies.contains(slot) &&
        bpf_map_lookup_elem(fds_.policies, &slot, &trie_id) == 0)
      bpf_map_delete_elem(fds_.policies, &slot);
    if (contents.services.contains(slot))
      continue;
    if (auto written = map_write(fds_.services, "services", slot, trap_service{}); !written)
      return written.error();
  }
  std::erase_if(policies_,
                [&](const auto& entry) { return !contents.policies.contains(entry.first); });
  std::erase_if(services_,
                [&](const auto& entry) { return !contents.services.contains(entry.first); });
  std::erase_if(pools_, [&](const auto& entry) { return !contents.pools.contains(entry.first); });
  if (auto cleared = clear_stale_pools(fds_.selections, contents); !cleared)
    return cleared.error();
  if (auto cleared = clear_stale_backends(fds_.backends, plan); !cleared)
    return cleared.error();
  return clear_stale_guards(fds_.guards, plan);
}

} // namespace trap::server
