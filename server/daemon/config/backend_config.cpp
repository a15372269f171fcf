// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/backend_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "protocol/wire.h"
#include "runtime/config/part_config.h"
#include "runtime/keys/key_derivation.h"

namespace trap::server {
namespace {

constexpr std::int64_t weight_max = 1000;
constexpr std::int64_t lifetime_min_s = 8;

const Choices<BackendState>& states() {
  static const Choices<BackendState> choices = {{"active", BackendState::active},
                                                {"draining", BackendState::draining},
                                                {"down", BackendState::down}};
  return choices;
}

std::string as_it_is(const std::string& text) {
  return text;
}

Result<Endpoint> parse_redirect_endpoint(const std::string& text) {
  auto endpoint = parse_endpoint(text);
  if (endpoint && trap_address_is_forbidden(&endpoint->address, family_of(endpoint->address)))
    return Error{fmt::format("{}: clients accept no redirect from or to such an address", text),
                 ExitCode::usage};
  return endpoint;
}

Result<trap_address> parse_host_address(const std::string& text) {
  auto address = parse_address(text);
  if (address && trap_address_is_forbidden(&*address, family_of(*address)))
    return Error{fmt::format("{}: no packet can travel from or to such an address", text),
                 ExitCode::usage};
  return address;
}

Result<std::string> parse_guard_name(const std::string& text) {
  if (is_guard_name(text))
    return text;
  return Error{fmt::format("\"{}\" is no guard's name: use 1 to {} of a-z, 0-9, '.' and '-'", text,
                           TRAP_GUARD_NAME_MAX),
               ExitCode::usage};
}

Result<std::string> parse_pool(const std::string& text) {
  if (text.empty() || is_table_name(text))
    return text;
  return Error{fmt::format("\"{}\" is no pool's name: use at most 63 letters, digits, '.', '_' or "
                           "'-'",
                           text),
               ExitCode::usage};
}

} // namespace

const char* backend_state_name(BackendState state) {
  return name_in(states(), state).c_str();
}

Written<Endpoint> redirect_endpoint() {
  return {
      .parse = parse_redirect_endpoint, .format = format_endpoint, .accepted = "address and port"};
}

Written<trap_address> host_address() {
  return {.parse = parse_host_address, .format = format_address, .accepted = "an address"};
}

Written<std::string> pool_name() {
  return {.parse = parse_pool,
          .format = as_it_is,
          .accepted = "at most 63 of letters, digits, '.', '_' and '-'",
          .may_be_empty = true};
}

Keys<BackendConfig> backend_keys() {
  using B = BackendConfig;
  return {required(string("address", &B::endpoint, redirect_endpoint(), by_reload,
                          "address and port of the real service")),
          required(string("guard", &B::guard,
                          {.parse = parse_guard_name,
                           .format = as_it_is,
                           .accepted = "1 to 63 of a-z, 0-9, '.' and '-'"},
                          by_reload, "name of the guard at that address")),
          string_or_none("guard_address", &B::guard_address, host_address(), by_reload,
                         "address by which this host reaches the backend, if not by `address`"),
          integer("weight", &B::weight, {1, weight_max}, by_reload,
                  "share of clients, against the other backends"),
          integer("ticket_lifetime_s", &B::lifetime_s, {lifetime_min_s, TRAP_LIFETIME_MAX_S},
                  by_reload, "how long tickets, redirects and announcements hold"),
          string("pool", &B::pool, pool_name(), by_reload,
                 "pool that the backend belongs to; empty: the default pool"),
          choice("state", &B::state, states(), by_reload,
                 "whether new clients are sent to the backend"),
          integer("scope_v4", &B::scope_v4, {8, 32}, by_reload,
                  "length of the IPv4 prefix that is one client, as at the guard"),
          integer("scope_v6", &B::scope_v6, {16, 128}, by_reload,
                  "length of the IPv6 prefix that is one client, as at the guard"),
          integer("tag", &B::tag, {0, 255}, by_reload,
                  "tag of tickets and announcements, which chooses the guard's [[class]]")};
}

} // namespace trap::server
