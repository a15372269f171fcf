// SPDX-License-Identifier: Apache-2.0
// What the maps are to hold for a configuration, and at which index: worked out before anything is written.
// Services, backends and guards that an earlier run put into the maps keep their places.
#ifndef TRAP_SERVER_DAEMON_SERVER_PLAN_H
#define TRAP_SERVER_DAEMON_SERVER_PLAN_H

#include <compare>
#include <map>
#include <string>
#include <vector>

#include "server/daemon/selection.h"
#include "server/daemon/server_config.h"
#include "server/maps.h"

namespace trap::server {

// What makes two lines of the configuration one entry of the map `backends`.
struct BackendKey {
  Endpoint endpoint;
  std::uint32_t guard = 0;
  std::uint16_t lifetime_s = 0;

  auto operator<=>(const BackendKey&) const = default;
};

// What the maps hold now.
struct EarlierMaps {
  std::map<Endpoint, std::uint32_t> slots;
  std::map<BackendKey, std::uint32_t> backends;
  std::map<std::string, std::uint32_t> guards;
};

struct PlannedService {
  const ServiceConfig* service = nullptr; // in the configuration the plan was made from
  Endpoint address;
  std::uint32_t slot = 0;
  std::vector<Candidate> candidates;
};

struct PlannedBackend {
  Endpoint endpoint;
  std::string guard;
  trap_backend value = {};
};

struct ServerPlan {
  std::map<std::string, std::uint32_t> guards;
  std::map<std::uint32_t, PlannedBackend> backends; // by index
  std::vector<PlannedService> services;             // one for each public address
};

// `config` must outlive the plan.
Result<ServerPlan> make_plan(const ServerConfig& config, const EarlierMaps& earlier);

trap_service_key service_key(const Endpoint& address);
BackendKey backend_key(const trap_backend& value);

} // namespace trap::server

#endif
