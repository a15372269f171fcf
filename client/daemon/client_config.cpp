// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "client/daemon/trust_config.h"

namespace trap::client {
namespace {

std::uint32_t read_table_size(ConfigTable& table, const char* key, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(
      table.integer_or(key, otherwise, TRAP_CLIENT_TABLE_LEAST, TRAP_CLIENT_TABLE_MOST));
}

// Names in two lists of which only one can be meant.
void refuse_both(ConfigTable& table, const std::vector<std::string>& names,
                 const std::vector<std::string>& others, const char* lists) {
  for (const std::string& name : names) {
    if (std::ranges::find(others, name) != others.end())
      table.fail(0, fmt::format("\"{}\" is both in {}: name it in one", name, lists));
  }
}

} // namespace

Result<ClientConfig> read_client_config(const std::string& path) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  ClientConfig config;
  config.part = read_part_config(table, "client", path);
  config.lan = read_interface_names(table, table.strings_or_none("lan"));
  config.except = read_interface_names(table, table.strings_or_none("except"));
  refuse_both(table, config.part.interfaces, config.lan, "\"interfaces\" and \"lan\"");
  refuse_both(table, config.part.interfaces, config.except, "\"interfaces\" and \"except\"");
  refuse_both(table, config.lan, config.except, "\"lan\" and \"except\"");
  config.allow_private_targets = table.boolean_or("allow_private_targets", false);
  config.max_redirects = read_table_size(table, "max_redirects", TRAP_CLIENT_REDIRECTS);
  config.max_flows = read_table_size(table, "max_flows", TRAP_CLIENT_FLOWS);
  config.only_trusted = table.boolean_or("only_trusted", false);
  config.renew = table.boolean_or("renew", true);
  config.trusts = read_trusts(table, config.only_trusted);
  table.reject_unknown_keys();
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap::client
