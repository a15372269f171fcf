// SPDX-License-Identifier: Apache-2.0
// A [[service]] of trap-server's configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/config/key.h"
#include "server/daemon/config/address_pattern.h"
#include "server/daemon/config/backend_config.h"
#include "server/daemon/config/policy_config.h"
#include "server/daemon/watch/activation.h"
#include "server/daemon/watch/health.h"

namespace trap::server {

enum class Unaware { reset, serve };    // clients without trap-client
enum class Activate { always, attack }; // when TRAP answers
enum class WhenDown { silence, serve }; // if no backend of the default pool is usable

struct ServiceConfig {
  std::string name;
  std::vector<AddressPattern> patterns; // of the public addresses, as they are written
  std::vector<Endpoint> addresses;      // what they mean on this host now
  Unaware unaware = Unaware::reset;
  Activate activate = Activate::always;
  WhenDown when_down = WhenDown::silence;
  bool offer = true;
  ActivationSettings activation;
  std::uint64_t syn_acks_per_s = 0; // 0: no cap of its own
  bool checks_health = true;
  HealthSettings health;
  std::vector<BackendConfig> backends; // of both families and all pools
  // Never null; shared, because it may be long.
  std::shared_ptr<const PolicyConfig> policies = std::make_shared<const PolicyConfig>();

  bool serves() const { return unaware == Unaware::serve; }
};

Keys<ServiceConfig> service_keys();

// Are there addresses that only the host can tell?
bool needs_host(const ServiceConfig& service);

// Patterns that name an interface or a prefix of which this host has no address now. In a prefix
// there is none as long as another router has it; of an interface there should be one.
std::vector<AddressPattern> unmatched_patterns(const ServiceConfig& service,
                                               const std::vector<HostAddress>& host);

// One line about such a pattern.
std::string unmatched_text(const ServiceConfig& service, const AddressPattern& pattern);

// Sets the addresses of all services. One that is written out goes before one that is found, and of
// those an earlier service's.
void find_addresses(std::vector<ServiceConfig>& services, const std::vector<HostAddress>& host);

// Settles the defaults that follow from other keys, and checks a service that was read, also
// against those before it.
void check_service(ConfigTable& table, ServiceConfig& read,
                   const std::vector<ServiceConfig>& others);

} // namespace trap::server
