// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/active_configuration.h"

#include <cerrno>
#include <iterator>
#include <map>
#include <optional>
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

namespace {

using Tags = std::set<std::uint8_t>;
using PoolTags = std::map<std::string, Tags>;

// The tags that tickets for a backend may have.
Tags tags_of(const ServiceConfig& service, const BackendConfig& backend) {
  Tags tags = {backend.tag};
  for (const PolicyRule& rule : service.policies->rules) {
    if (rule.action == PolicyAction::pool && rule.pool == backend.pool && rule.own_tag())
      tags.insert(*rule.own_tag());
  }
  return tags;
}

std::optional<std::uint8_t> common_tag(const Tags& a, const Tags& b) {
  for (const std::uint8_t tag : a)
    if (b.contains(tag))
      return tag;
  return std::nullopt;
}

std::string shared_door(const std::string& guard, std::uint16_t port, const PoolTags& pools) {
  for (auto one = pools.begin(); one != pools.end(); ++one) {
    for (auto other = std::next(one); other != pools.end(); ++other) {
      if (const auto tag = common_tag(one->second, other->second))
        return fmt::format(
            "pools \"{}\" and \"{}\" are behind guard \"{}\" at port {}, both with tag {}: a "
            "ticket for one is good at the other: if they are to be apart, give the backends of "
            "each a \"tag\" of its own, and the guard a [[pool]] with it",
            one->first, other->first, guard, port, *tag);
    }
  }
  return "";
}

} // namespace

std::vector<std::string> shared_doors(const ServerConfig& config) {
  using Door = std::pair<std::string, std::uint16_t>; // guard, port
  std::map<Door, PoolTags> doors;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends)
      doors[{backend.guard, backend.endpoint.port}][backend.pool].merge(tags_of(service, backend));
  }
  std::vector<std::string> lines;
  for (const auto& [door, pools] : doors) {
    if (std::string line = shared_door(door.first, door.second, pools); !line.empty())
      lines.push_back(line);
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
