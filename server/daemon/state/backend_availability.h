// SPDX-License-Identifier: Apache-2.0
// The backends that may be named now: by the configuration, the operator's later orders, and
// health.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/daemon/plan/selection.h"
#include "server/daemon/plan/server_plan.h"
#include "server/daemon/watch/health.h"

namespace trap::server {

class BackendAvailability {
public:
  // Another configuration: orders and health of backends that stay are kept.
  void follow(const ServerConfig& config);

  // Checks health; true if that of a backend changed.
  bool advance(std::uint64_t now_ns) { return health_.advance(now_ns); }

  // The operator's word for every backend of the service at this address, whatever its pool; it
  // holds until the daemon ends.
  void order(const std::string& service, const Endpoint& backend, BackendState state);

  BackendState state(const ServiceConfig& service, const BackendConfig& backend) const;
  const char* health(const ServiceConfig& service,
                     const BackendConfig& backend) const; // "up", "down", "unknown", "off"
  Health last_health(const Endpoint& backend) const { return health_.health(backend); }
  std::string health_error(const BackendConfig& backend) const {
    return health_.last_error(backend.endpoint);
  }
  Health health_of(const Endpoint& backend) const { return health_.health(backend); }
  // Would an announcement of `source` as a client admit health checks that nothing else admits?
  // Their result would then depend on it.
  bool depends_on_announcing(const Endpoint& backend, const trap_address& source,
                             std::uint8_t scope) const;
  std::vector<std::string> problems() const { return health_.problems(); }
  bool is_usable(const ServiceConfig& service, const BackendConfig& backend) const;

  // The usable members of a pool.
  std::vector<Candidate> candidates(const ServiceConfig& service, const PlannedPool& pool) const;

  // A member's part of its pool's clients, 0 to 1, as its weight wants it.
  double share(const ServiceConfig& service, const PlannedPool& pool,
               const PoolMember& member) const;

private:
  using OrderKey = std::pair<std::string, Endpoint>; // service, backend

  void watch(const ServerConfig& config);

  HealthChecker health_;
  std::map<OrderKey, BackendState> orders_;
};

} // namespace trap::server
