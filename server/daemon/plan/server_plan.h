// SPDX-License-Identifier: Apache-2.0
// The place in the maps of each part of a configuration, worked out before a write. Entries of an
// earlier run or configuration keep their index. The plan does not say which backends are usable
// now: state/backend_availability.h does.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/daemon/config/server_config.h"
#include "server/maps.h"

namespace trap::server {

// Two lines of the configuration with the same key are one entry of the map `backends`.
struct BackendKey {
  Endpoint endpoint;
  std::uint32_t guard = 0;
  std::uint16_t lifetime_s = 0;
  std::uint8_t scope_v4 = TRAP_SCOPE_V4;
  std::uint8_t scope_v6 = TRAP_SCOPE_V6;
  std::uint8_t tag = 0;

  auto operator<=>(const BackendKey&) const = default;
};

// Slot of the service's address, name of the pool; with "#7" behind it if its tickets have tag 7.
using PoolKey = std::pair<std::uint32_t, std::string>;

// The present contents of the maps.
struct EarlierMaps {
  std::map<Endpoint, std::uint32_t> slots;
  std::map<PoolKey, std::uint32_t> pools;
  std::map<BackendKey, std::uint32_t> backends;
  std::map<std::string, std::uint32_t> guards;
  std::map<Endpoint, trap_service> services;
};

struct PoolMember {
  const BackendConfig* backend = nullptr; // in the configuration the plan was made from
  std::uint16_t index = 0;
};

// The backends of a pool, with the tag that a policy gives to its clients' tickets; one without is
// the pool itself.
struct PlannedPool {
  std::string name;
  std::optional<std::uint8_t> tag = {};
  std::uint32_t index = 0;
  std::vector<PoolMember> members; // those of the address's family
};

struct PlannedService {
  const ServiceConfig* service = nullptr; // in the configuration the plan was made from
  Endpoint address;
  std::uint32_t slot = 0;
  std::vector<PlannedPool> pools;   // the default pool first
  trap_address announces_from = {}; // the source of its announcements

  // Null if no backend of the address's family is in that pool.
  const PlannedPool* pool(const std::string& name, std::optional<std::uint8_t> tag = {}) const;
};

struct PlannedBackend {
  Endpoint endpoint;
  Endpoint reached_at; // where announcements go
  std::string guard;
  trap_backend value = {};
  std::optional<trap_address> checked_from; // the source of checks; else as routes have it
};

struct ServerPlan {
  std::map<std::string, std::uint32_t> guards;
  std::map<std::uint32_t, PlannedBackend> backends; // by index
  std::vector<PlannedService> services;             // one for each public address

  std::map<Endpoint, std::uint32_t> slots() const;
};

std::set<std::string> guard_names(const ServerConfig& config);

// `config` must outlive the plan.
Result<ServerPlan> make_plan(const ServerConfig& config, const EarlierMaps& earlier);

// The maps as a plan of this daemon left them.
EarlierMaps maps_after(const ServerPlan& plan);

BackendKey backend_key(const trap_backend& value);

} // namespace trap::server
