// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/server_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/config/token_rate.h"
#include "server/maps.h"

namespace trap::server {
namespace {

constexpr std::int64_t announce_rate_max = 1000000;
constexpr std::int64_t announce_check_max_s = 3600;

Keys<BudgetConfig> budget_keys() {
  using B = BudgetConfig;
  constexpr Range rates = {0, rate_max};
  return {integer("client_handshakes_per_s", &B::client_handshakes_per_s, rates, by_reload,
                  "handshakes completed by each IPv4 address or IPv6 /64; 0: no limit"),
          integer("network_handshakes_per_s", &B::network_handshakes_per_s, rates, by_reload,
                  "handshakes completed by each IPv4 /24 or IPv6 /48; 0: no limit"),
          integer("syn_acks_per_s", &B::syn_acks_per_s, rates, by_reload,
                  "SYN-ACKs sent by this server; 0: no limit"),
          integer("resets_per_s", &B::resets_per_s, rates, by_reload,
                  "resets with a redirect sent by this server; 0: no limit")};
}

Keys<ServerConfig> own_keys() {
  using S = ServerConfig;
  return {file("master_key_file", &S::master_key_file, by_reload, "file of the master key"),
          choice("cookies", &S::cookies,
                 {{"auto", Cookies::automatic}, {"kernel", Cookies::kernel}}, by_restart,
                 "SYN cookies of services that serve: TRAP's where possible, or the kernel's"),
          choice("attach", &S::attach, {{"xdp", Attach::xdp}, {"tc", Attach::tc}}, by_restart,
                 "where packets meet the program: at XDP, or behind it at tc ingress"),
          choice("option_kind", &S::experimental_kind,
                 {{"reserved", false}, {"experimental", true}}, by_restart,
                 "kind of the TCP option that carries TRAP's messages"),
          integer("announce_rate", &S::announce_rate, {0, announce_rate_max}, by_reload,
                  "announcements a second, at most; 0: none are sent"),
          strings("announce_source", &S::announce_source, host_address(), by_reload,
                  "source of announcements, one of each family; none: the public address", 2),
          integer("announce_check_s", &S::announce_check_s, {0, announce_check_max_s}, by_reload,
                  "time from one check that guards hear announcements to the next; 0: none"),
          strings("health_source", &S::health_source, host_address(), by_reload,
                  "source of health checks, one of each family; none: the kernel chooses", 2),
          table("budget", &S::budget, budget_keys(), "limits a second"),
          required(tables(
              "service", &S::services, service_keys(), {"name"},
              [](ConfigTable& table, ServiceConfig& read, const ServerConfig& config) {
                check_service(table, read, config.services);
              },
              "a service and its public addresses"))};
}

void check_sources(ConfigTable& table, const char* key, const std::vector<trap_address>& sources) {
  if (sources.size() == 2 && family_of(sources[0]) == family_of(sources[1]))
    table.fail(table.line_of(key, 1),
               fmt::format("{} names two addresses of one family: name one of each", key));
}

void finish(ConfigTable& table, ServerConfig& config) {
  refuse_excepted(table, config.part);
  check_sources(table, "announce_source", config.announce_source);
  check_sources(table, "health_source", config.health_source);
  if (std::ranges::any_of(config.services, needs_host))
    find_addresses(config.services, list_host_addresses());
  std::size_t addresses = 0;
  for (const ServiceConfig& service : config.services)
    addresses += service.addresses.size();
  if (addresses >= TRAP_SERVER_MAX_SERVICES)
    table.fail(0, fmt::format("{} public addresses, but there is room for {}", addresses,
                              TRAP_SERVER_MAX_SERVICES - 1));
}

} // namespace

const trap_address* source_among(const std::vector<trap_address>& sources, trap_family family) {
  const auto at = std::ranges::find_if(
      sources, [&](const trap_address& source) { return family_of(source) == family; });
  return at == sources.end() ? nullptr : &*at;
}

bool needs_master_key(const ServerConfig& config) {
  return std::any_of(
      config.services.begin(), config.services.end(),
      [](const ServiceConfig& service) { return !service.backends.empty() || !service.serves(); });
}

const Keys<ServerConfig>& server_keys() {
  static const Keys<ServerConfig> keys =
      joined<ServerConfig>({within(&ServerConfig::part, part_keys("server")), own_keys()});
  return keys;
}

Result<ServerConfig> read_server_config(const std::string& path) {
  return read_config(path, server_keys(), finish);
}

} // namespace trap::server
