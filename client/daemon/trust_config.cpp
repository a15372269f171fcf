// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/trust_config.h"

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

// What a text says of prefix and port.
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

void read_services(ConfigTable& table, Trust& trust) {
  for (const ConfigString& text : table.required_strings("services")) {
    auto service = parse_trusted_service(text.text);
    if (!service)
      table.fail(text.line, fmt::format("services: {}", service.error().message));
    else if (std::ranges::find(trust.services, *service) != trust.services.end())
      table.fail(text.line, fmt::format("services: {} is there twice", text.text));
    else
      trust.services.push_back(*service);
  }
}

void read_targets(ConfigTable& table, Trust& trust) {
  for (const ConfigString& text : table.required_strings("targets")) {
    auto prefix = parse_prefix(text.text);
    if (!prefix)
      table.fail(text.line, fmt::format("targets: {}", prefix.error().message));
    else if (is_forbidden(*prefix))
      table.fail(text.line, fmt::format("targets: no client follows a redirect to {}", text.text));
    else if (std::ranges::find(trust.targets, *prefix) != trust.targets.end())
      table.fail(text.line, fmt::format("targets: {} is there twice", text.text));
    else
      trust.targets.push_back(*prefix);
  }
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

Trust read_trust(ConfigTable& table) {
  Trust trust;
  read_services(table, trust);
  read_targets(table, trust);
  if (!table.error())
    require_targets_of_family(table, trust);
  table.reject_unknown_keys();
  return trust;
}

void refuse_overlap(ConfigTable& table, const std::vector<Trust>& trusts, const Trust& trust,
                    unsigned line) {
  for (const Trust& other : trusts) {
    for (const TrustedService& service : trust.services) {
      if (std::ranges::find(other.services, service) != other.services.end())
        table.fail(line, fmt::format("another [[trust]] names {}, too: put their targets together",
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

std::vector<Trust> read_trusts(ConfigTable& table, bool required) {
  std::vector<Trust> trusts;
  std::size_t services = 0, targets = 0;
  for (ConfigTable& entry : table.tables_or_none("trust")) {
    Trust trust = read_trust(entry);
    refuse_overlap(table, trusts, trust, entry.line());
    services += trust.services.size();
    targets += trust.targets.size();
    if (services > TRAP_CLIENT_MAX_TRUSTED || targets > TRAP_CLIENT_MAX_TRUSTED)
      table.fail(entry.line(), fmt::format("more services or targets than there is room for ({})",
                                           TRAP_CLIENT_MAX_TRUSTED));
    trusts.push_back(std::move(trust));
  }
  if (required && trusts.empty())
    table.fail(0, "\"only_trusted\" without a [[trust]]: no redirect would be followed; add one");
  return trusts;
}

} // namespace trap::client
