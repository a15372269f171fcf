// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_config.h"

namespace trap::client {
namespace {

std::uint32_t read_table_size(ConfigTable& table, const char* key, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(table.integer_or(key, otherwise, TRAP_CLIENT_TABLE_LEAST, TRAP_CLIENT_TABLE_MOST));
}

} // namespace

Result<ClientConfig> read_client_config(const std::string& path) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  ClientConfig config;
  config.part = read_part_config(table, "client", path);
  config.allow_private_targets = table.boolean_or("allow_private_targets", false);
  config.max_redirects = read_table_size(table, "max_redirects", TRAP_CLIENT_REDIRECTS);
  config.max_flows = read_table_size(table, "max_flows", TRAP_CLIENT_FLOWS);
  table.reject_unknown_keys();
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap::client
