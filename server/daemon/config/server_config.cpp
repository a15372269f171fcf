// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/server_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/config/token_rate.h"
#include "server/maps.h"

namespace trap::server {
namespace {

constexpr std::uint32_t kAnnounceRateMax = 1000000;
constexpr std::uint32_t kAnnounceRateDefault = 10000;

std::uint64_t read_rate(ConfigTable& table, const char* key, std::uint64_t otherwise) {
  return static_cast<std::uint64_t>(
      table.integer_or(key, static_cast<std::int64_t>(otherwise), 0, kRateMax));
}

BudgetConfig read_budget(ConfigTable& root) {
  BudgetConfig budget;
  auto table = root.table_or_none("budget");
  if (!table)
    return budget;
  table->name_it("[budget]");
  budget.client_handshakes_per_s =
      read_rate(*table, "client_handshakes_per_s", budget.client_handshakes_per_s);
  budget.network_handshakes_per_s =
      read_rate(*table, "network_handshakes_per_s", budget.network_handshakes_per_s);
  budget.syn_acks_per_s = read_rate(*table, "syn_acks_per_s", budget.syn_acks_per_s);
  budget.resets_per_s = read_rate(*table, "resets_per_s", budget.resets_per_s);
  table->reject_unknown_keys();
  return budget;
}

void read_services(ConfigTable& root, ServerConfig& config) {
  PublicAddresses taken;
  for (ConfigTable& table : root.required_tables("service")) {
    ServiceConfig service = read_service(table, taken);
    for (const ServiceConfig& other : config.services) {
      if (other.name == service.name)
        table.fail(table.line(), "another service has this name already");
    }
    config.services.push_back(std::move(service));
  }
  if (taken.size() >= TRAP_SERVER_MAX_SERVICES)
    root.fail(0, fmt::format("{} public addresses, but there is room for {}", taken.size(),
                             TRAP_SERVER_MAX_SERVICES - 1));
}

} // namespace

bool needs_master_key(const ServerConfig& config) {
  return std::any_of(
      config.services.begin(), config.services.end(),
      [](const ServiceConfig& service) { return !service.backends.empty() || !service.serves(); });
}

Result<ServerConfig> read_server_config(const std::string& path) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  ServerConfig config;
  config.part = read_part_config(table, "server", path);
  config.master_key_file = table.string_or("master_key_file", "/etc/trap/master.key").text;
  config.cookies = table.choice_or("cookies", {"auto", "kernel"}).text == "kernel"
                       ? Cookies::kernel
                       : Cookies::automatic;
  config.experimental_kind =
      table.choice_or("option_kind", {"reserved", "experimental"}).text == "experimental";
  config.announce_rate = static_cast<std::uint32_t>(
      table.integer_or("announce_rate", kAnnounceRateDefault, 0, kAnnounceRateMax));
  config.budget = read_budget(table);
  read_services(table, config);
  table.reject_unknown_keys();
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap::server
