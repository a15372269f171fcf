// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_config.h"

#include <algorithm>
#include <bit>

#include <fmt/core.h>

#include "runtime/config/token_rate.h"

namespace trap::guard {
namespace {

constexpr std::int64_t kSshPort = 22;
constexpr std::int64_t kClockSkewMaxS = 3600;

std::vector<trap_address> read_trap_servers(ConfigTable& table) {
  std::vector<trap_address> addresses;
  std::vector<ConfigString> texts = table.required_strings("trap_servers");
  if (texts.size() > TRAP_GUARD_MAX_TRAP_SERVERS)
    table.fail(texts.back().line, fmt::format("more TRAP servers than there is room for ({})",
                                              TRAP_GUARD_MAX_TRAP_SERVERS));
  for (const ConfigString& text : texts) {
    auto address = parse_address(text.text);
    if (!address) {
      table.fail(text.line, fmt::format("trap_servers: {}: write addresses without ports",
                                        address.error().message));
      continue;
    }
    for (const trap_address& other : addresses) {
      if (trap_address_equal(&other, &*address))
        table.fail(text.line, fmt::format("TRAP server {} is there twice", text.text));
    }
    addresses.push_back(*address);
  }
  return addresses;
}

std::vector<Prefix> read_trusted(ConfigTable& table) {
  std::vector<Prefix> prefixes;
  std::vector<ConfigString> texts = table.strings_or_none("trusted");
  if (texts.size() > TRAP_GUARD_MAX_TRUSTED)
    table.fail(texts.back().line, fmt::format("more trusted prefixes than there is room for ({})",
                                              TRAP_GUARD_MAX_TRUSTED));
  for (const ConfigString& text : texts) {
    auto prefix = parse_prefix(text.text);
    if (!prefix) {
      table.fail(text.line, fmt::format("trusted: {}", prefix.error().message));
      continue;
    }
    if (prefix->bits == 96 && family_of(prefix->address) == TRAP_IPV4)
      table.fail(text.line, fmt::format("trusted: {} is everybody, and the guard would guard "
                                        "nothing: name the hosts you trust",
                                        text.text));
    if (std::find(prefixes.begin(), prefixes.end(), *prefix) != prefixes.end())
      table.fail(text.line, fmt::format("trusted: {} is there twice", text.text));
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

std::vector<std::uint16_t> read_management_ports(ConfigTable& table) {
  std::vector<std::uint16_t> ports;
  for (const ConfigInteger& port : table.integers_or_none("management_ports", 1, 65535)
                                       .value_or(std::vector<ConfigInteger>{{kSshPort, 0}}))
    ports.push_back(static_cast<std::uint16_t>(port.value));
  return ports;
}

ServiceConfig read_service(ConfigTable& table, const GuardConfig& config) {
  ServiceConfig service;
  service.name = read_service_name(table).text;
  service.port = static_cast<std::uint16_t>(table.required_integer("port", 1, 65535));
  service.scope_v4 = static_cast<std::uint8_t>(table.integer_or("scope_v4", TRAP_SCOPE_V4, 8, 32));
  service.scope_v6 =
      static_cast<std::uint8_t>(table.integer_or("scope_v6", TRAP_SCOPE_V6, 16, 128));
  service.sockets_here = table.choice_or("sockets", {"host", "elsewhere"}).text == "host";
  table.reject_unknown_keys();
  for (const ServiceConfig& other : config.services) {
    if (other.name == service.name)
      table.fail(table.line(), "another service has this name already");
    if (other.port == service.port)
      table.fail(table.line(), fmt::format("port {} belongs to service \"{}\" already",
                                           service.port, other.name));
  }
  if (std::find(config.management_ports.begin(), config.management_ports.end(), service.port) !=
      config.management_ports.end())
    table.fail(table.line(), fmt::format("port {} is a management port, which is never filtered: "
                                         "take it out of \"management_ports\" first, "
                                         "if nobody needs it to manage this host",
                                         service.port));
  return service;
}

void read_enforcement(ConfigTable& table, GuardConfig& config) {
  config.mode = table.choice_or("mode", {"enforce", "monitor"}).text == "enforce" ? Mode::enforce
                                                                                  : Mode::monitor;
  config.stale_drops =
      table.choice_or("on_stale_keys", {"established-only", "drop"}).text == "drop";
  config.clock_skew_s = static_cast<std::uint32_t>(
      table.integer_or("clock_skew_s", config.clock_skew_s, 0, kClockSkewMaxS));
  config.icmp_drops = table.choice_or("icmp", {"pass", "drop"}).text == "drop";
  config.management_ports = read_management_ports(table);
  const auto announced = static_cast<std::int64_t>(config.announced_per_network_per_s);
  config.announced_per_network_per_s = static_cast<std::uint64_t>(
      table.integer_or("announced_per_network_per_s", announced, 0, kRateMax));
}

// Tables have sizes that are powers of two: what is asked for, and up to as much again.
std::uint32_t read_table_size(ConfigTable& table, const std::string& key, std::uint32_t otherwise,
                              std::uint32_t most) {
  return std::bit_ceil(
      static_cast<std::uint32_t>(table.integer_or(key, otherwise, TRAP_GUARD_TABLE_LEAST, most)));
}

} // namespace

const char* mode_name(Mode mode) {
  return mode == Mode::enforce ? "enforce" : "monitor";
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

Result<GuardConfig> read_guard_config(const std::string& path) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  GuardConfig config;
  config.part = read_part_config(table, "guard", path);
  config.secret_file = table.string_or("secret_file", "/etc/trap/guard.key").text;
  read_enforcement(table, config);
  config.max_clients =
      read_table_size(table, "max_clients", TRAP_GUARD_CLIENTS, TRAP_GUARD_MOST_CLIENTS);
  config.max_flows = read_table_size(table, "max_flows", TRAP_GUARD_FLOWS, TRAP_GUARD_MOST_FLOWS);
  config.trap_servers = read_trap_servers(table);
  config.trusted = read_trusted(table);
  config.classes = read_classes(table);
  for (ConfigTable& service : table.required_tables("service"))
    config.services.push_back(read_service(service, config));
  if (config.services.size() >= TRAP_GUARD_MAX_SERVICES)
    table.fail(
        0, fmt::format("more services than there is room for ({})", TRAP_GUARD_MAX_SERVICES - 1));
  table.reject_unknown_keys();
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap::guard
