// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_config.h"

namespace trap::client {

Result<ClientConfig> read_client_config(const std::string& path) {
  auto root = read_config_file(path);
  if (!root)
    return root.error();
  ConfigTable table(*root, path);
  ClientConfig config;
  config.part = read_part_config(table, "client", path);
  config.allow_private_targets = table.boolean_or("allow_private_targets", false);
  table.reject_unknown_keys();
  if (table.error())
    return *table.error();
  return config;
}

} // namespace trap::client
