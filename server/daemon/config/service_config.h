// SPDX-License-Identifier: Apache-2.0
// A [[service]] of trap-server's configuration.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/daemon/backends/health.h"
#include "server/daemon/config/backend_config.h"
#include "server/daemon/config/policy_config.h"
#include "server/daemon/watch/activation.h"

namespace trap::server {

enum class Unaware { reset, serve };    // what becomes of clients without trap-client
enum class Activate { always, attack }; // when TRAP answers
enum class WhenDown { silence, serve }; // if no backend of the default pool is usable

struct ServiceConfig {
  std::string name;
  std::vector<Endpoint> addresses; // the public ones
  Unaware unaware = Unaware::reset;
  Activate activate = Activate::always;
  WhenDown when_down = WhenDown::silence;
  bool offer = true;
  ActivationSettings activation;
  std::uint64_t syn_acks_per_s = 0; // 0: no cap of its own
  bool checks_health = true;
  HealthSettings health;
  std::vector<BackendConfig> backends;          // of both families and all pools
  std::shared_ptr<const PolicyConfig> policies; // never null; shared, because it may be long

  bool serves() const { return unaware == Unaware::serve; }
};

using PublicAddresses = std::map<Endpoint, std::string>; // and the service each belongs to

// `taken` holds the addresses of the services read before, and gets those of this one.
ServiceConfig read_service(ConfigTable& table, PublicAddresses& taken);

} // namespace trap::server
