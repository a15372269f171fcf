// SPDX-License-Identifier: Apache-2.0
// The [[service.backend]] tables of a service.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/config_table.h"
#include "runtime/config/endpoint.h"

namespace trap::server {

enum class BackendState {
  active,
  draining, // no new redirects; those that were given hold
  down,     // the same, and nobody asks after its health
};

const char* backend_state_name(BackendState state);

struct BackendConfig {
  Endpoint endpoint;
  std::string guard;
  std::uint32_t weight = 1;
  std::uint16_t lifetime_s = 0; // of tickets and announcements
  std::string pool;             // "": the default pool
  BackendState state = BackendState::active;
};

// An address that clients may be redirected from and to.
Endpoint read_redirect_endpoint(ConfigTable& table, const ConfigString& text);

// Every backend of a service: none, some, of both families.
std::vector<BackendConfig> read_backends(ConfigTable& service);

} // namespace trap::server
