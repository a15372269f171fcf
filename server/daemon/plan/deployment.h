// SPDX-License-Identifier: Apache-2.0
// A configuration that is or will be in force, with its master secret and its plan; a reload makes
// another one. Stays where it is made, because the plan points into the configuration.
#pragma once

#include <string>

#include "runtime/keys/key_derivation.h"
#include "server/daemon/plan/server_plan.h"

namespace trap::server {

struct Deployment {
  ServerConfig config;
  Secret master;
  bool master_is_random = false; // there is no key file, and nothing that needs one
  ServerPlan plan;

  Deployment() = default;
  Deployment(const Deployment&) = delete;
  Deployment& operator=(const Deployment&) = delete;
};

// Is there a key file, or must there be one?
bool has_master_key(const ServerConfig& config);

// The secret of the configuration's key file. Where nothing is signed and there is no such file,
// `otherwise`; or without one a random one.
Result<Secret> read_master_for(const ServerConfig& config, const Secret* otherwise);

// Clients accept a private target from a private service only, unless their administrator allows
// it.
void warn_of_private_backends(const ServerConfig& config);

} // namespace trap::server
