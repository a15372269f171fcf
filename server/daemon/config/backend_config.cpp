// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/backend_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "protocol/wire.h"
#include "runtime/keys/key_derivation.h"

namespace trap::server {
namespace {

constexpr std::uint32_t kWeightMax = 1000;
constexpr std::uint32_t kLifetimeMinS = 8;
constexpr std::uint32_t kLifetimeDefaultS = 600;
constexpr std::size_t kPoolNameMax = 63;

bool is_pool_name(const std::string& name) {
  return name.size() <= kPoolNameMax && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

BackendState read_state(ConfigTable& table) {
  const std::string state = table.choice_or("state", {"active", "draining", "down"}).text;
  if (state == "draining")
    return BackendState::draining;
  return state == "down" ? BackendState::down : BackendState::active;
}

BackendConfig read_backend(ConfigTable& table) {
  BackendConfig backend;
  const ConfigString address = table.required_string("address");
  if (!address.text.empty())
    backend.endpoint = read_redirect_endpoint(table, address);
  const ConfigString guard = table.required_string("guard");
  backend.guard = guard.text;
  if (!is_guard_name(guard.text))
    table.fail(guard.line, fmt::format("guard \"{}\": use 1 to {} of a-z, 0-9, '.' and '-'",
                                       guard.text, TRAP_GUARD_NAME_MAX));
  backend.weight = static_cast<std::uint32_t>(table.integer_or("weight", 1, 1, kWeightMax));
  backend.lifetime_s = static_cast<std::uint16_t>(
      table.integer_or("ticket_lifetime_s", kLifetimeDefaultS, kLifetimeMinS, TRAP_LIFETIME_MAX_S));
  const ConfigString pool = table.text_or("pool", "");
  backend.pool = pool.text;
  if (!is_pool_name(pool.text))
    table.fail(pool.line,
               fmt::format("pool \"{}\": use at most {} letters, digits, '.', '_' or '-'",
                           pool.text, kPoolNameMax));
  backend.state = read_state(table);
  table.reject_unknown_keys();
  return backend;
}

} // namespace

const char* backend_state_name(BackendState state) {
  switch (state) {
  case BackendState::active:
    return "active";
  case BackendState::draining:
    return "draining";
  default:
    return "down";
  }
}

Endpoint read_redirect_endpoint(ConfigTable& table, const ConfigString& text) {
  auto endpoint = parse_endpoint(text.text);
  if (!endpoint) {
    table.fail(text.line, endpoint.error().message);
    return {};
  }
  if (trap_address_is_forbidden(&endpoint->address, family_of(endpoint->address)))
    table.fail(text.line,
               fmt::format("{}: clients accept no redirect from or to such an address", text.text));
  return *endpoint;
}

std::vector<BackendConfig> read_backends(ConfigTable& service) {
  std::vector<BackendConfig> backends;
  for (ConfigTable& table : service.tables_or_none("backend")) {
    BackendConfig backend = read_backend(table);
    for (const BackendConfig& other : backends) {
      if (other.endpoint == backend.endpoint && other.pool == backend.pool)
        table.fail(table.line(),
                   fmt::format("backend {} is there twice", format_endpoint(backend.endpoint)));
    }
    backends.push_back(std::move(backend));
  }
  return backends;
}

} // namespace trap::server
