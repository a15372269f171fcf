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
  value.scope_v4 = key.scope_v4;
  value.scope_v6 = key.scope_v6;
  value.tag = key.tag;
  return value;
}

Error no_room(const ServerConfig& config, const char* what, unsigned room) {
  return Error{fmt::format("{}: more {} than there is room for ({})", config.part.path, what, room),
               ExitCode::usage};
}

template <class T> std::vector<T> as_vector(const std::set<T>& set) {
  return {set.begin(), set.end()};
}

BackendKey key_of(const BackendConfig& backend, const Indexes& guards,
                  std::optional<std::uint8_t> tag = {}) {
  return {backend.endpoint, guards.at(backend.guard), backend.lifetime_s,
          backend.scope_v4, backend.scope_v6,         tag.value_or(backend.tag)};
}

bool same_family(const BackendConfig& backend, const Endpoint& address) {
  return family_of(backend.endpoint.address) == family_of(address.address);
}

using PoolName = std::pair<std::string, std::optional<std::uint8_t>>; // with the policy's tag

PoolKey pool_key(std::uint32_t slot, const PoolName& pool) {
  return {slot, pool.second ? fmt::format("{}#{}", pool.first, *pool.second) : pool.first};
}

// The default pool, which is always there and comes first, those that a backend of the address's
// family is in, and each of them once more for every tag that a policy gives to its clients.
std::set<PoolName> pool_names(const ServiceConfig& service, const Endpoint& address) {
  std::set<PoolName> names = {{"", std::nullopt}};
  for (const BackendConfig& backend : service.backends) {
    if (!same_family(backend, address))
      continue;
    names.insert({backend.pool, std::nullopt});
    for (const PolicyRule& rule : service.policies->rules) {
      if (rule.action == PolicyAction::pool && rule.pool == backend.pool && rule.own_tag())
        names.insert({rule.pool, rule.own_tag()});
    }
  }
  return names;
}

Result<std::map<BackendKey, std::uint32_t>>
place_backends(const ServerConfig& config, const EarlierMaps& earlier, const Indexes& guards) {
  std::set<BackendKey> keys;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) {
      keys.insert(key_of(backend, guards));
      for (const PolicyRule& rule : service.policies->rules) {
        if (rule.action == PolicyAction::pool && rule.pool == backend.pool)
          keys.insert(key_of(backend, guards, rule.own_tag()));
      }
    }
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
      const trap_address* source = source_among(config.announce_source, family_of(address.address));
      PlannedService planned{
          &service, address, slots->at(address), {}, source ? *source : address.address};
      for (const PoolName& name : pool_names(service, address)) {
        planned.pools.push_back({name.first, name.second, 0, {}});
        keys.push_back(pool_key(planned.slot, name));
      }
      services.push_back(std::move(planned));
    }
  }
  auto pools = keep_indexes(keys, earlier.pools, 0, TRAP_SERVER_MAX_POOLS);
  if (!pools)
    return no_room(config, "pools of backends", TRAP_SERVER_MAX_POOLS);
  for (PlannedService& planned : services) {
    for (PlannedPool& pool : planned.pools)
      pool.index = pools->at(pool_key(planned.slot, {pool.name, pool.tag}));
  }
  return services;
}

} // namespace

const PlannedPool* PlannedService::pool(const std::string& name,
                                        std::optional<std::uint8_t> tag) const {
  auto at = std::find_if(pools.begin(), pools.end(), [&](const PlannedPool& pool) {
    return pool.name == name && pool.tag == tag;
  });
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
  return {{value.address, TRAP_FROM_BE16(value.port)},
          value.guard,
          TRAP_FROM_BE16(value.lifetime_s),
          value.scope_v4,
          value.scope_v6,
          value.tag};
}

EarlierMaps maps_after(const ServerPlan& plan) {
  EarlierMaps maps;
  maps.guards = plan.guards;
  maps.slots = plan.slots();
  for (const auto& [index, backend] : plan.backends)
    maps.backends[backend_key(backend.value)] = index;
  for (const PlannedService& planned : plan.services) {
    for (const PlannedPool& pool : planned.pools)
      maps.pools[pool_key(planned.slot, {pool.name, pool.tag})] = pool.index;
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
      for (PlannedPool& pool : planned.pools) {
        if (pool.name != backend.pool)
          continue;
        const BackendKey key = key_of(backend, *guards, pool.tag);
        const auto index = static_cast<std::uint16_t>(backends->at(key));
        const trap_address* source =
            source_among(config.health_source, family_of(planned.address.address));
        plan.backends[index] =
            PlannedBackend{backend.endpoint, backend.reached_at(), backend.guard,
                           backend_value(key), source ? std::optional(*source) : std::nullopt};
        pool.members.push_back({&backend, index});
      }
    }
  }
  return plan;
}

} // namespace trap::server
