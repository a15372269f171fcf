// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/active_configuration.h"

#include <cerrno>
#include <unistd.h>

#include "runtime/keys/key_file.h"
#include "runtime/log.h"

namespace trap::server {

bool has_master_key(const ServerConfig& config) {
  const bool missing = access(config.master_key_file.c_str(), F_OK) != 0 && errno == ENOENT;
  return needs_master_key(config) || !missing;
}

Result<Secret> read_master_for(const ServerConfig& config, const Secret* otherwise) {
  if (has_master_key(config))
    return read_master_key(config.master_key_file);
  if (otherwise)
    return *otherwise;
  log::info("no {}, and no backend that needs it: using a random master key",
            config.master_key_file);
  return generate_master_key();
}

void warn_of_private_backends(const ServerConfig& config) {
  for (const ServiceConfig& service : config.services) {
    for (const Endpoint& address : service.addresses) {
      for (const BackendConfig& backend : service.backends) {
        trap_family family = family_of(address.address);
        if (family_of(backend.endpoint.address) == family &&
            trap_address_is_private(&backend.endpoint.address, family) &&
            !trap_address_is_private(&address.address, family))
          log::warn({.service = service.name, .backend = format_endpoint(backend.endpoint)},
                    "service \"{}\": backend {} is a private address: clients refuse the redirect "
                    "unless allow_private_targets is set there",
                    service.name, format_endpoint(backend.endpoint));
      }
    }
  }
}

} // namespace trap::server
