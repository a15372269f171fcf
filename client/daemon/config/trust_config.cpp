// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/config/trust_config.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "client/maps.h"

namespace trap::client {
namespace {

Result<std::uint16_t> parse_port(std::string_view digits, const std::string& text) {
  std::uint16_t port = 0;
  const auto [stop, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failure != std::errc() || stop != digits.data() + digits.size() || port == 0)
    return Error{fmt::format("\"{}\" has no port of 1 to 65535", text), ExitCode::usage};
  return port;
}

// The parts of "203.0.113.0/24:443"; the port is null if there is none.
struct Parts {
  std::string_view prefix, port;
};

Parts split(std::string_view text) {
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket != std::string_view::npos && text.substr(bracket + 1).starts_with(':'))
      return {text.substr(1, bracket - 1), text.substr(bracket + 2)};
    return {text, {}};
  }
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
    return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

bool is_v4(const Prefix& prefix) {
  return prefix.bits >= 96 && trap_address_is_v4(&prefix.address);
}

// Is the whole prefix one that no client may ever follow to?
bool is_forbidden(const Prefix& prefix) {
  return trap_address_is_forbidden(&prefix.address, is_v4(prefix) ? TRAP_IPV4 : TRAP_IPV6) &&
         prefix.bits >= (is_v4(prefix) ? 96 + 8 : 10);
}

Result<Prefix> parse_target(const std::string& text) {
  auto prefix = parse_prefix(text);
  if (prefix && is_forbidden(*prefix))
    return Error{fmt::format("no client follows a redirect to {}", text), ExitCode::usage};
  return prefix;
}

// A redirect never changes the family.
void require_targets_of_family(ConfigTable& table, const Trust& trust) {
  for (const TrustedService& service : trust.services) {
    const bool v4 = is_v4(service.prefix);
    if (std::ranges::none_of(trust.targets,
                             [&](const Prefix& target) { return is_v4(target) == v4; }))
      table.fail(table.line(), fmt::format("{} can redirect nowhere: name a target that is IPv{}",
                                           format_trusted_service(service), v4 ? 4 : 6));
  }
}

void refuse_overlap(ConfigTable& table, const std::vector<Trust>& trusts, const Trust& trust) {
  for (const Trust& other : trusts) {
    for (const TrustedService& service : trust.services) {
      if (std::ranges::find(other.services, service) != other.services.end())
        table.fail(table.line(),
                   fmt::format("another [[trust]] names {}, too: put their targets together",
                               format_trusted_service(service)));
    }
  }
}

} // namespace

Result<TrustedService> parse_trusted_service(const std::string& text) {
  const Parts parts = split(text);
  auto prefix = parse_prefix(parts.prefix);
  if (!prefix)
    return prefix.error();
  TrustedService service = {*prefix, 0};
  if (parts.port.data() == nullptr)
    return service;
  auto port = parse_port(parts.port, text);
  if (!port)
    return port.error();
  service.port = *port;
  return service;
}

std::string format_trusted_service(const TrustedService& service) {
  std::string prefix = format_prefix(service.prefix);
  if (service.port == 0)
    return prefix;
  return is_v4(service.prefix) ? fmt::format("{}:{}", prefix, service.port)
                               : fmt::format("[{}]:{}", prefix, service.port);
}

Keys<Trust> trust_keys() {
  return {
      required(strings("services", &Trust::services,
                       {.parse = parse_trusted_service,
                        .format = format_trusted_service,
                        .accepted = "addresses and prefixes, with a port or for all"},
                       by_reload, "public addresses of services")),
      required(strings(
          "targets", &Trust::targets,
          {.parse = parse_target, .format = format_prefix, .accepted = "addresses and prefixes"},
          by_reload, "where these services may redirect"))};
}

void check_trust(ConfigTable& table, Trust& read, const ClientConfig& config) {
  if (!table.error())
    require_targets_of_family(table, read);
  refuse_overlap(table, config.trusts, read);
  std::size_t services = read.services.size(), targets = read.targets.size();
  for (const Trust& other : config.trusts) {
    services += other.services.size();
    targets += other.targets.size();
  }
  if (services > TRAP_CLIENT_MAX_TRUSTED || targets > TRAP_CLIENT_MAX_TRUSTED)
    table.fail(table.line(), fmt::format("more services or targets than there is room for ({})",
                                         TRAP_CLIENT_MAX_TRUSTED));
}

} // namespace trap::client
