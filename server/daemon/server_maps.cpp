// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/server_maps.h"

#include <algorithm>
#include <set>

#include "runtime/bpf_map.h"
#include "runtime/clock_writer.h"
#include "runtime/counters.h"

namespace trap::server {
namespace {

bool same_key(const trap_key& a, const trap_key& b) {
  return a.k0 == b.k0 && a.k1 == b.k1;
}

// The key that says "some service lives at this address".
trap_service_key address_key(const trap_address& address) {
  return service_key({address, 0});
}

bool bytes_less(const trap_service_key& a, const trap_service_key& b) {
  return std::memcmp(&a, &b, sizeof(a)) < 0;
}

} // namespace

ServerMaps::ServerMaps(const MapFds& fds, const Secret& master) : fds_(fds), master_(master) {}

EarlierMaps ServerMaps::read(const std::vector<std::string>& names, std::uint64_t epoch) const {
  EarlierMaps earlier;
  for (const auto& key : map_keys<trap_service_key>(fds_.services)) {
    auto service = map_read<trap_service>(fds_.services, key);
    if (service && key.port != 0)
      earlier.slots[{key.address, TRAP_FROM_BE16(key.port)}] = service->slot;
  }
  for (__u32 index = 0; index < TRAP_SERVER_MAX_BACKENDS; index++) {
    auto backend = map_read<trap_backend>(fds_.backends, index);
    if (backend && backend->port != 0)
      earlier.backends[backend_key(*backend)] = index;
  }
  std::vector<trap_key> keys;
  keys.reserve(names.size());
  for (const std::string& name : names)
    keys.push_back(derive_ticket_key(derive_guard_secret(master_, name), epoch));
  for (__u32 index = 0; index < TRAP_SERVER_MAX_GUARDS; index++) {
    auto guard = map_read<trap_server_guard>(fds_.guards, index);
    trap_key found;
    if (!guard || !trap_keyring_find(&guard->ticket_keys, epoch, &found))
      continue;
    auto at = std::find_if(keys.begin(), keys.end(), [&](const trap_key& key) { return same_key(key, found); });
    if (at != keys.end())
      earlier.guards[names[static_cast<std::size_t>(at - keys.begin())]] = index;
  }
  return earlier;
}

Result<void> ServerMaps::rotate_guard_keys(const ServerPlan& plan, std::uint64_t epoch) {
  for (const auto& [name, index] : plan.guards) {
    auto guard = map_read<trap_server_guard>(fds_.guards, index).value_or(trap_server_guard{});
    Secret secret = derive_guard_secret(master_, name);
    auto derive = [&](std::uint64_t wanted) { return derive_ticket_key(secret, wanted); };
    // The kernel copies the whole value over the old one; slots in use are copied onto themselves.
    forget_foreign_keys(guard.ticket_keys, derive);
    rotate_keyring(guard.ticket_keys, epoch, derive);
    if (auto written = map_write(fds_.guards, "guards", index, guard); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::write_services(const ServerPlan& plan, const EarlierMaps& earlier) {
  CounterReader counters(fds_.counters);
  for (const PlannedService& service : plan.services) {
    if (!earlier.slots.contains(service.address))
      counters.clear(service.slot); // the slot may have been another's
    trap_service value = {service.slot, service.service->offer ? TRAP_SERVICE_OFFERS : 0};
    if (auto written = map_write(fds_.services, "services", service_key(service.address), value); !written)
      return written.error();
    if (auto written = map_write(fds_.services, "services", address_key(service.address.address), trap_service{}); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::write(const ServerPlan& plan, const EarlierMaps& earlier, std::uint64_t epoch) {
  if (auto rotated = rotate_guard_keys(plan, epoch); !rotated)
    return rotated.error();
  for (const auto& [index, backend] : plan.backends) {
    if (auto written = map_write(fds_.backends, "backends", index, backend.value); !written)
      return written.error();
  }
  trap_key selector_key = derive_selector_key(master_);
  trap_selection selection;
  for (const PlannedService& service : plan.services) {
    fill_selection(selection, selector_key, service.candidates);
    if (auto written = map_write(fds_.selections, "selections", service.slot, selection); !written)
      return written.error();
  }
  if (auto written = write_services(plan, earlier); !written)
    return written.error();
  return remove_stale(plan);
}

Result<void> ServerMaps::remove_stale(const ServerPlan& plan) {
  std::set<trap_service_key, decltype(&bytes_less)> wanted(&bytes_less);
  std::set<std::uint32_t> guards;
  for (const PlannedService& service : plan.services) {
    wanted.insert(service_key(service.address));
    wanted.insert(address_key(service.address.address));
  }
  for (const auto& key : map_keys<trap_service_key>(fds_.services)) {
    if (!wanted.contains(key))
      bpf_map_delete_elem(fds_.services, &key);
  }
  for (__u32 index = 0; index < TRAP_SERVER_MAX_BACKENDS; index++) {
    auto backend = map_read<trap_backend>(fds_.backends, index);
    if (!backend || backend->port == 0 || plan.backends.contains(index))
      continue;
    if (auto written = map_write(fds_.backends, "backends", index, trap_backend{}); !written)
      return written.error();
  }
  for (const auto& [name, index] : plan.guards)
    guards.insert(index);
  for (__u32 index = 0; index < TRAP_SERVER_MAX_GUARDS; index++) {
    if (guards.contains(index))
      continue;
    if (auto written = map_write(fds_.guards, "guards", index, trap_server_guard{}); !written)
      return written.error();
  }
  return {};
}

} // namespace trap::server
