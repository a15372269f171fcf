// SPDX-License-Identifier: Apache-2.0
// A configuration in force, with its master secret and its plan; a reload makes the next one. It
// stays where it is made, because the plan points into the configuration.
#pragma once

#include <string>
#include <vector>

#include "runtime/keys/key_derivation.h"
#include "server/daemon/plan/server_plan.h"

namespace trap::server {

struct ActiveConfiguration {
  ServerConfig config;
  Secret master;
  bool master_is_random = false; // there is no key file, and no backend needs one
  ServerPlan plan;

  ActiveConfiguration() = default;
  ActiveConfiguration(const ActiveConfiguration&) = delete;
  ActiveConfiguration& operator=(const ActiveConfiguration&) = delete;
};

// True if there is a key file, or must be one.
bool has_master_key(const ServerConfig& config);

// The secret of the configuration's key file. If no backend needs a signature and there is no such
// file: `otherwise`, or a random secret if that is null.
Result<Secret> read_master_for(const ServerConfig& config, const Secret* otherwise);

// A line for each guard and port that backends of several pools with a common tag are behind: a
// ticket for one is as good at the other, because it binds guard, port and tag. Where the tags
// differ, the guard can keep the pools apart, by its [[pool]] tables.
std::vector<std::string> shared_doors(const ServerConfig& config);
void warn_of_shared_doors(const ServerConfig& config);

// Clients accept a private target from a private service only, unless their administrator allows
// it.
void warn_of_private_backends(const ServerConfig& config);

} // namespace trap::server
