// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/active_configuration.h"

#include <cerrno>
#include <iterator>
#include <map>
#include <set>
#include <unistd.h>
#include <utility>

#include <fmt/core.h>

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

std::vector<std::string> shared_doors(const ServerConfig& config) {
  using Door = std::pair<std::string, std::uint16_t>; // guard, port
  std::map<Door, std::set<std::string>> pools;
  for (const ServiceConfig& service : config.services)
    for (const BackendConfig& backend : service.backends)
      pools[{backend.guard, backend.endpoint.port}].insert(backend.pool);
  std::vector<std::string> lines;
  for (const auto& [door, names] : pools) {
    if (names.size() > 1)
      lines.push_back(fmt::format(
          "pools \"{}\" and \"{}\" are behind guard \"{}\" at port {}: a ticket for one is good at "
          "the other: if they are to be apart, give each a guard or a port of its own",
          *names.begin(), *std::next(names.begin()), door.first, door.second));
  }
  return lines;
}

void warn_of_shared_doors(const ServerConfig& config) {
  for (const std::string& line : shared_doors(config))
    log::warn("{}", line);
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
