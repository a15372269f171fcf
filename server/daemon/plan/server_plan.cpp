// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/server_plan.h"

#include <algorithm>

#include <fmt/core.h>

#include "protocol/wire.h"
#include "runtime/kernel/index_keeper.h"

namespace trap::server {
namespace {

using Indexes = std::map<std::string, std::uint32_t>;

trap_backend backend_value(const BackendKey& key) {
  trap_backend value = {};
  value.address = key.endpoint.address;
  value.port = TRAP_BE16(key.endpoint.port);
  value.lifetime_s = TRAP_BE16(key.lifetime_s);
  value.guard = static_cast<__u16>(key.guard);
  value.scope_v4 = TRAP_SCOPE_V4;
  value.scope_v6 = TRAP_SCOPE_V6;
  return value;
}

Error no_room(const ServerConfig& config, const char* what, unsigned room) {
  return Error{fmt::format("{}: more {} than there is room for ({})", config.part.path, what, room),
               ExitCode::usage};
}

template <class T> std::vector<T> as_vector(const std::set<T>& set) {
  return {set.begin(), set.end()};
}

BackendKey key_of(const BackendConfig& backend, const Indexes& guards) {
  return {backend.endpoint, guards.at(backend.guard), backend.lifetime_s};
}

bool same_family(const BackendConfig& backend, const Endpoint& address) {
  return family_of(backend.endpoint.address) == family_of(address.address);
}

// The default pool, which is always there, and those that a backend of the address's family is in.
std::set<std::string> pool_names(const ServiceConfig& service, const Endpoint& address) {
  std::set<std::string> names = {""};
  for (const BackendConfig& backend : service.backends) {
    if (same_family(backend, address))
      names.insert(backend.pool);
  }
  return names;
}

Result<std::map<BackendKey, std::uint32_t>>
place_backends(const ServerConfig& config, const EarlierMaps& earlier, const Indexes& guards) {
  std::set<BackendKey> keys;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends)
      keys.insert(key_of(backend, guards));
  }
  auto backends = keep_indexes(as_vector(keys), earlier.backends, 0, TRAP_SERVER_MAX_BACKENDS);
  if (!backends)
    return no_room(config, "backends", TRAP_SERVER_MAX_BACKENDS);
  return *backends;
}

// Services with their slots, and pools with their indexes, still without members.
Result<std::vector<PlannedService>> place_services(const ServerConfig& config,
                                                   const EarlierMaps& earlier) {
  std::vector<Endpoint> addresses;
  for (const ServiceConfig& service : config.services)
    addresses.insert(addresses.end(), service.addresses.begin(), service.addresses.end());
  auto slots = keep_indexes(addresses, earlier.slots, 1, TRAP_SERVER_MAX_SERVICES);
  if (!slots)
    return no_room(config, "public addresses", TRAP_SERVER_MAX_SERVICES - 1);
  std::vector<PlannedService> services;
  std::vector<PoolKey> keys;
  for (const ServiceConfig& service : config.services) {
    for (const Endpoint& address : service.addresses) {
      PlannedService planned{&service, address, slots->at(address), {}};
      for (const std::string& name : pool_names(service, address)) {
        planned.pools.push_back({name, 0, {}});
        keys.emplace_back(planned.slot, name);
      }
      services.push_back(std::move(planned));
    }
  }
  auto pools = keep_indexes(keys, earlier.pools, 0, TRAP_SERVER_MAX_POOLS);
  if (!pools)
    return no_room(config, "pools of backends", TRAP_SERVER_MAX_POOLS);
  for (PlannedService& planned : services) {
    for (PlannedPool& pool : planned.pools)
      pool.index = pools->at({planned.slot, pool.name});
  }
  return services;
}

} // namespace

const PlannedPool* PlannedService::pool(const std::string& name) const {
  auto at = std::find_if(pools.begin(), pools.end(),
                         [&](const PlannedPool& pool) { return pool.name == name; });
  return at == pools.end() ? nullptr : &*at;
}

std::map<Endpoint, std::uint32_t> ServerPlan::slots() const {
  std::map<Endpoint, std::uint32_t> slots;
  for (const PlannedService& planned : services)
    slots[planned.address] = planned.slot;
  return slots;
}

std::set<std::string> guard_names(const ServerConfig& config) {
  std::set<std::string> names;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends)
      names.insert(backend.guard);
  }
  return names;
}

BackendKey backend_key(const trap_backend& value) {
  return {
      {value.address, TRAP_FROM_BE16(value.port)}, value.guard, TRAP_FROM_BE16(value.lifetime_s)};
}

EarlierMaps maps_after(const ServerPlan& plan) {
  EarlierMaps maps;
  maps.guards = plan.guards;
  maps.slots = plan.slots();
  for (const auto& [index, backend] : plan.backends)
    maps.backends[backend_key(backend.value)] = index;
  for (const PlannedService& planned : plan.services) {
    for (const PlannedPool& pool : planned.pools)
      maps.pools[{planned.slot, pool.name}] = pool.index;
  }
  return maps;
}

Result<ServerPlan> make_plan(const ServerConfig& config, const EarlierMaps& earlier) {
  auto guards =
      keep_indexes(as_vector(guard_names(config)), earlier.guards, 0, TRAP_SERVER_MAX_GUARDS);
  if (!guards)
    return no_room(config, "guards", TRAP_SERVER_MAX_GUARDS);
  auto backends = place_backends(config, earlier, *guards);
  if (!backends)
    return backends.error();
  auto services = place_services(config, earlier);
  if (!services)
    return services.error();
  ServerPlan plan;
  plan.guards = *guards;
  plan.services = std::move(*services);
  for (PlannedService& planned : plan.services) {
    for (const BackendConfig& backend : planned.service->backends) {
      if (!same_family(backend, planned.address))
        continue;
      const BackendKey key = key_of(backend, *guards);
      const auto index = static_cast<std::uint16_t>(backends->at(key));
      plan.backends[index] = PlannedBackend{backend.endpoint, backend.guard, backend_value(key)};
      for (PlannedPool& pool : planned.pools) {
        if (pool.name == backend.pool)
          pool.members.push_back({&backend, index});
      }
    }
  }
  return plan;
}

} // namespace trap::server
