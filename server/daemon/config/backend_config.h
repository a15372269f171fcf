// SPDX-License-Identifier: Apache-2.0
// The [[service.backend]] tables of a service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/wire.h"
#include "runtime/config/endpoint.h"
#include "runtime/config/key.h"

namespace trap::server {

enum class BackendState {
  active,
  draining, // no new redirects; those that were given hold
  down,     // the same, and its health is not checked
};

const char* backend_state_name(BackendState state);

struct BackendConfig {
  Endpoint endpoint;
  std::string guard;
  std::uint32_t weight = 1;
  std::uint16_t lifetime_s = 600; // of tickets and announcements
  std::string pool;               // "": the default pool
  BackendState state = BackendState::active;
  // Of its guard's service: a ticket of another scope is wrong there.
  std::uint8_t scope_v4 = TRAP_SCOPE_V4;
  std::uint8_t scope_v6 = TRAP_SCOPE_V6;
  std::uint8_t tag = 0;                      // of the tickets of clients whose policy names none
  std::optional<trap_address> guard_address; // by which this host reaches it, if not by `endpoint`

  // Where health checks and announcements go.
  Endpoint reached_at() const { return {guard_address.value_or(endpoint.address), endpoint.port}; }
};

// An address that announcements and checks come from or go to: one that a host can have.
Written<trap_address> host_address();

// An address that clients may be redirected from and to.
Written<Endpoint> redirect_endpoint();

// The name of a pool of backends; the default pool's is empty.
Written<std::string> pool_name();

Keys<BackendConfig> backend_keys();

} // namespace trap::server
