// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/server_config.h"

#include <algorithm>
#include <map>

#include <fmt/core.h>

#include "protocol/wire.h"
#include "runtime/key_derivation.h"
#include "server/maps.h"

namespace trap::server {
namespace {

constexpr std::uint32_t kWeightMax = 1000;
constexpr std::uint32_t kLifetimeMinS = 8;
constexpr std::uint32_t kLifetimeDefaultS = 600;
constexpr std::uint32_t kAnnounceRateMax = 1000000;
constexpr std::uint32_t kAnnounceRateDefault = 10000;

Endpoint read_endpoint(ConfigTable& table, const ConfigString& text) {
  auto endpoint = parse_endpoint(text.text);
  if (!endpoint) {
    table.fail(text.line, endpoint.error().message);
    return {};
  }
  if (trap_address_is_forbidden(&endpoint->address, family_of(endpoint->address)))
    table.fail(text.line, fmt::format("{}: clients accept no redirect from or to such an address", text.text));
  return *endpoint;
}

BackendConfig read_backend(ConfigTable& table) {
  BackendConfig backend;
  ConfigString address = table.required_string("address");
  if (!address.text.empty())
    backend.endpoint = read_endpoint(table, address);
  ConfigString guard = table.required_string("guard");
  backend.guard = guard.text;
  if (!is_guard_name(guard.text))
    table.fail(guard.line, fmt::format("guard \"{}\": use 1 to {} of a-z, 0-9, '.' and '-'", guard.text, TRAP_GUARD_NAME_MAX));
  backend.weight = static_cast<std::uint32_t>(table.integer_or("weight", 1, 1, kWeightMax));
  backend.lifetime_s =
      static_cast<std::uint16_t>(table.integer_or("ticket_lifetime_s", kLifetimeDefaultS, kLifetimeMinS, TRAP_LIFETIME_MAX_S));
  table.reject_unknown_keys();
  return backend;
}

void read_unaware(ConfigTable& table) {
  ConfigString unaware = table.string_or("unaware", "reset");
  if (unaware.text == "serve")
    table.fail(unaware.line, "unaware = \"serve\" is not in version " TRAP_VERSION_STRING ": write \"reset\"");
  else if (unaware.text != "reset")
    table.fail(unaware.line, fmt::format(R"("unaware" is "{}": write "reset")", unaware.text));
}

void read_backends(ConfigTable& table, ServiceConfig& service) {
  for (ConfigTable& backend_table : table.required_tables("backend")) {
    BackendConfig backend = read_backend(backend_table);
    for (const BackendConfig& other : service.backends) {
      if (other.endpoint == backend.endpoint)
        backend_table.fail(backend_table.line(), fmt::format("backend {} is there twice", format_endpoint(backend.endpoint)));
    }
    service.backends.push_back(std::move(backend));
  }
}

// docs/protocol.md 1: a redirect never changes the family.
void check_families(ConfigTable& table, const ServiceConfig& service, const std::vector<ConfigString>& addresses) {
  for (std::size_t i = 0; i < service.addresses.size(); i++) {
    trap_family family = family_of(service.addresses[i].address);
    bool has_backend = std::any_of(service.backends.begin(), service.backends.end(),
                                   [&](const BackendConfig& backend) { return family_of(backend.endpoint.address) == family; });
    if (!has_backend)
      table.fail(addresses[i].line,
                 fmt::format("address {} has no backend of its family: add an IPv{} backend", addresses[i].text, static_cast<int>(family)));
  }
}

using PublicAddresses = std::map<Endpoint, std::string>; // and the service each belongs to

ServiceConfig read_service(ConfigTable& table, PublicAddresses& taken) {
  ServiceConfig service;
  service.name = read_service_name(table).text;
  std::vector<ConfigString> addresses = table.required_strings("addresses");
  for (const ConfigString& text : addresses) {
    Endpoint endpoint = read_endpoint(table, text);
    auto [at, is_new] = taken.emplace(endpoint, service.name);
    if (!is_new)
      table.fail(text.line, fmt::format("address {} belongs to service \"{}\" already", text.text, at->second));
    service.addresses.push_back(endpoint);
  }
  read_unaware(table);
  service.offer = table.boolean_or("offer", true);
  read_backends(table, service);
  table.reject_unknown_keys();
  check_families(table, service, addresses);
  return service;
}

} // namespace

Result<ServerConfig> read_server_config(const std::string& path) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  ServerConfig config;
  config.part = read_part_config(table, "server", path);
  config.master_key_file = table.string_or("master_key_file", "/etc/trap/master.key").text;
  config.experimental_kind = table.choice_or("option_kind", {"reserved", "experimental"}).text == "experimental";
  config.announce_rate = static_cast<std::uint32_t>(table.integer_or("announce_rate", kAnnounceRateDefault, 0, kAnnounceRateMax));
  PublicAddresses taken;
  for (ConfigTable& service_table : table.required_tables("service")) {
    ServiceConfig service = read_service(service_table, taken);
    for (const ServiceConfig& other : config.services) {
      if (other.name == service.name)
        service_table.fail(service_table.line(), "another service has this name already");
    }
    config.services.push_back(std::move(service));
  }
  if (taken.size() >= TRAP_SERVER_MAX_SERVICES)
    table.fail(0, fmt::format("{} public addresses, but there is room for {}", taken.size(), TRAP_SERVER_MAX_SERVICES - 1));
  table.reject_unknown_keys();
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap::server
