// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/config/client_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "client/daemon/config/trust_config.h"

namespace trap::client {
namespace {

constexpr char nat64_forms[] = "\"none\", or an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits";
constexpr unsigned nat64_lengths[] = {32, 40, 48, 56, 64, 96}; // RFC 6052 2.2

Result<Prefix> parse_nat64(const std::string& text) {
  if (text == "none")
    return Prefix{};
  auto prefix = parse_prefix(text);
  if (prefix && (std::ranges::find(nat64_lengths, prefix->bits) == std::end(nat64_lengths) ||
                 trap_address_is_v4(&prefix->address)))
    return Error{fmt::format("\"{}\" is no prefix of a translator: write {}", text, nat64_forms),
                 ExitCode::usage};
  return prefix;
}

std::string format_nat64(const Prefix& prefix) {
  return prefix.bits == 0 ? "none" : format_prefix(prefix);
}

constexpr Range table_sizes = {TRAP_CLIENT_TABLE_LEAST, TRAP_CLIENT_TABLE_MOST};

Keys<ClientConfig> own_keys() {
  using C = ClientConfig;
  return {strings("lan", &C::lan, interface_name(), by_reload,
                  "names and patterns of interfaces with hosts behind them that have no module"),
          boolean("allow_private_targets", &C::allow_private_targets, by_reload,
                  "whether a public address may redirect to a private one"),
          integer("max_redirects", &C::max_redirects, table_sizes, by_restart,
                  "redirects that are held"),
          integer("max_flows", &C::max_flows, table_sizes, by_restart,
                  "redirected connections that are held"),
          boolean("only_trusted", &C::only_trusted, by_reload,
                  "whether only services that a [[trust]] names may redirect"),
          boolean("require_consent", &C::require_consent, by_reload,
                  "whether a redirect's target must consent, if it is not next door and in no "
                  "[[trust]]"),
          default_is("what the resolver says",
                     string_or_none(
                         "nat64_prefix", &C::nat64,
                         {.parse = parse_nat64, .format = format_nat64, .accepted = nat64_forms},
                         by_reload,
                         "prefix of the translator from IPv6 to IPv4 that this host "
                         "has")),
          boolean("renew", &C::renew, by_reload,
                  "whether redirects in use are renewed before they end"),
          tables("trust", &C::trusts, trust_keys(), {}, check_trust,
                 "services that may redirect, and where to")};
}

void finish(ConfigTable& table, ClientConfig& config) {
  refuse_both(table, {"interfaces", config.part.interfaces}, {"lan", config.lan});
  refuse_excepted(table, config.part);
  refuse_both(table, {"lan", config.lan}, {"except", config.part.except});
  if (config.only_trusted && config.trusts.empty())
    table.fail(table.line_of("only_trusted"),
               "\"only_trusted\" without a [[trust]]: no redirect would be followed; add one");
}

} // namespace

const Keys<ClientConfig>& client_keys() {
  static const Keys<ClientConfig> keys =
      joined<ClientConfig>({within(&ClientConfig::part, part_keys("client")), own_keys()});
  return keys;
}

Result<ClientConfig> read_client_config(const std::string& path) {
  return read_config(path, client_keys(), finish);
}

} // namespace trap::client
