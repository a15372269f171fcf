// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/config/guard_config.h"

#include <algorithm>
#include <bit>

#include <fmt/core.h>

#include "runtime/config/token_rate.h"

namespace trap::guard {
namespace {

constexpr std::int64_t clock_skew_max_s = 3600;

const Choices<Mode>& modes() {
  static const Choices<Mode> choices = {{"enforce", Mode::enforce}, {"monitor", Mode::monitor}};
  return choices;
}

// Tables have sizes that are powers of two: the one asked for, and up to as much again.
std::int64_t power_of_two(std::int64_t size) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(size)));
}

Written<trap_address> server_address() {
  return {.parse = [](const std::string& text) -> Result<trap_address> {
            auto address = parse_address(text);
            if (!address)
              return Error{address.error().message + ": write addresses without ports",
                           ExitCode::usage};
            return *address;
          },
          .format = format_address,
          .accepted = "addresses"};
}

Written<Prefix> trusted_prefix() {
  return {.parse = [](const std::string& text) -> Result<Prefix> {
            auto prefix = parse_prefix(text);
            if (!prefix)
              return prefix.error();
            if (prefix->bits == 96 && family_of(prefix->address) == TRAP_IPV4)
              return Error{text + " is everybody, and the guard would guard nothing: name the "
                                  "hosts you trust",
                           ExitCode::usage};
            return *prefix;
          },
          .format = format_prefix,
          .accepted = "addresses and prefixes"};
}

Keys<ServiceConfig> service_keys() {
  using S = ServiceConfig;
  return {table_name("service", &S::name, "name of the service"),
          required(integer("port", &S::port, {1, 65535}, by_reload, "TCP port that is protected")),
          integer("scope_v4", &S::scope_v4, {8, 32}, by_reload,
                  "length of the IPv4 prefix that is one client"),
          integer("scope_v6", &S::scope_v6, {16, 128}, by_reload,
                  "length of the IPv6 prefix that is one client"),
          choice("sockets", &S::sockets_here, {{"host", true}, {"elsewhere", false}}, by_reload,
                 "where the service's sockets are")};
}

void check_service(ConfigTable& table, ServiceConfig& service, const GuardConfig& config) {
  for (const ServiceConfig& other : config.services) {
    if (other.name == service.name)
      table.fail(table.line(), "another service has this name already");
    if (other.port == service.port)
      table.fail(table.line(), fmt::format("port {} belongs to service \"{}\" already",
                                           service.port, other.name));
  }
  if (std::find(config.management_ports.begin(), config.management_ports.end(), service.port) !=
      config.management_ports.end())
    table.fail(table.line(),
               fmt::format("port {} is a management port, which is never filtered: take it out of "
                           "\"management_ports\" first, if this host is not managed through it",
                           service.port));
}

Keys<GuardConfig> own_keys() {
  using G = GuardConfig;
  return {
      file("secret_file", &G::secret_file, by_reload, "file of this guard's key"),
      choice("mode", &G::mode, modes(), by_reload,
             "whether packets that are refused are dropped, or counted only"),
      choice("uncovered", &G::accepts_uncovered, {{"degraded", false}, {"accept", true}}, by_reload,
             "whether the guard is degraded while packets can reach the host past it"),
      choice("on_stale_keys", &G::stale_drops, {{"established-only", false}, {"drop", true}},
             by_reload, "fate of established connections once the keys have run out"),
      integer("clock_skew_s", &G::clock_skew_s, {0, clock_skew_max_s}, by_reload,
              "how far a TRAP server's clock may be off"),
      choice("icmp", &G::icmp_drops, {{"pass", false}, {"drop", true}}, by_reload,
             "fate of echo requests and other queries"),
      integers("management_ports", &G::management_ports, {1, 65535}, by_reload,
               "ports that are never filtered: no service may have one"),
      integer("announced_per_network_per_s", &G::announced_per_network_per_s, {0, rate_max},
              by_reload, "new clients announced a second for a /24 or /48; 0: no limit"),
      integer("max_clients", &G::max_clients, {TRAP_GUARD_TABLE_LEAST, TRAP_GUARD_MOST_CLIENTS},
              by_restart, "clients that are kept, rounded up to a power of two", power_of_two),
      integer("max_flows", &G::max_flows, {TRAP_GUARD_TABLE_LEAST, TRAP_GUARD_MOST_FLOWS},
              by_restart, "connections that are kept, rounded up to a power of two", power_of_two),
      required(strings("trap_servers", &G::trap_servers, server_address(), by_reload,
                       "addresses that announcements come from", TRAP_GUARD_MAX_TRAP_SERVERS)),
      strings("trusted", &G::trusted, trusted_prefix(), by_reload, "peers that need no invitation",
              TRAP_GUARD_MAX_TRUSTED),
      tables(
          "pool", &G::pools, pool_keys(), {"name"},
          [](ConfigTable& table, PoolConfig& read, const GuardConfig& config) {
            check_pool(table, read, config.pools);
          },
          "addresses that take tickets of certain tags only"),
      tables(
          "class", &G::classes, class_keys(), {"name"},
          [](ConfigTable& table, ClassConfig& read, const GuardConfig& config) {
            check_class(table, read, config.classes);
          },
          "limits of an admitted client, by the tag of its ticket"),
      required(tables("service", &G::services, service_keys(), {"name"}, check_service,
                      "a protected port"))};
}

void finish(ConfigTable& table, GuardConfig& config) {
  complete_classes(config.classes);
  refuse_excepted(table, config.part);
  if (config.services.size() >= TRAP_GUARD_MAX_SERVICES)
    table.fail(
        0, fmt::format("more services than there is room for ({})", TRAP_GUARD_MAX_SERVICES - 1));
}

} // namespace

const char* mode_name(Mode mode) {
  return name_in(modes(), mode).c_str();
}

std::vector<std::string> doubts_about(const GuardConfig& config) {
  std::vector<std::string> doubts;
  for (const trap_address& server : config.trap_servers) {
    if (std::any_of(config.trusted.begin(), config.trusted.end(),
                    [&](const Prefix& prefix) { return covers(prefix, server); }))
      doubts.push_back(fmt::format("TRAP server {} is trusted, and anybody can send with a public "
                                   "address as the source: trust an inner "
                                   "address of that host instead",
                                   format_address(server)));
  }
  return doubts;
}

const Keys<GuardConfig>& guard_keys() {
  static const Keys<GuardConfig> keys =
      joined<GuardConfig>({within(&GuardConfig::part, part_keys("guard")), own_keys()});
  return keys;
}

Result<GuardConfig> read_guard_config(const std::string& path) {
  return read_config(path, guard_keys(), finish);
}

} // namespace trap::guard
