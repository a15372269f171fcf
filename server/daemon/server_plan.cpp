// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/server_plan.h"

#include <set>

#include <fmt/core.h>

#include "protocol/wire.h"
#include "runtime/index_keeper.h"

namespace trap::server {
namespace {

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
  return Error{fmt::format("{}: more {} than there is room for ({})", config.part.path, what, room), ExitCode::usage};
}

template <class T> std::vector<T> as_vector(const std::set<T>& set) {
  return {set.begin(), set.end()};
}

} // namespace

trap_service_key service_key(const Endpoint& address) {
  trap_service_key key = {};
  key.address = address.address;
  key.port = TRAP_BE16(address.port);
  return key;
}

BackendKey backend_key(const trap_backend& value) {
  return {{value.address, TRAP_FROM_BE16(value.port)}, value.guard, TRAP_FROM_BE16(value.lifetime_s)};
}

Result<ServerPlan> make_plan(const ServerConfig& config, const EarlierMaps& earlier) {
  std::set<std::string> guard_names;
  std::vector<Endpoint> addresses;
  for (const ServiceConfig& service : config.services) {
    addresses.insert(addresses.end(), service.addresses.begin(), service.addresses.end());
    for (const BackendConfig& backend : service.backends)
      guard_names.insert(backend.guard);
  }
  auto guards = keep_indexes(as_vector(guard_names), earlier.guards, 0, TRAP_SERVER_MAX_GUARDS);
  if (!guards)
    return no_room(config, "guards", TRAP_SERVER_MAX_GUARDS);
  auto slots = keep_indexes(addresses, earlier.slots, 1, TRAP_SERVER_MAX_SERVICES);
  if (!slots)
    return no_room(config, "public addresses", TRAP_SERVER_MAX_SERVICES - 1);

  auto key_of = [&](const BackendConfig& backend) { return BackendKey{backend.endpoint, guards->at(backend.guard), backend.lifetime_s}; };
  std::set<BackendKey> backend_keys;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends)
      backend_keys.insert(key_of(backend));
  }
  auto backends = keep_indexes(as_vector(backend_keys), earlier.backends, 0, TRAP_SERVER_MAX_BACKENDS);
  if (!backends)
    return no_room(config, "backends", TRAP_SERVER_MAX_BACKENDS);

  ServerPlan plan;
  plan.guards = *guards;
  for (const ServiceConfig& service : config.services) {
    for (const Endpoint& address : service.addresses) {
      PlannedService planned{&service, address, slots->at(address), {}};
      for (const BackendConfig& backend : service.backends) {
        if (family_of(backend.endpoint.address) != family_of(address.address))
          continue;
        BackendKey key = key_of(backend);
        std::uint32_t index = backends->at(key);
        plan.backends[index] = PlannedBackend{backend.endpoint, backend.guard, backend_value(key)};
        planned.candidates.push_back({backend.endpoint, backend.weight, static_cast<std::uint16_t>(index)});
      }
      plan.services.push_back(std::move(planned));
    }
  }
  return plan;
}

} // namespace trap::server
