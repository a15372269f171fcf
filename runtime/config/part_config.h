// SPDX-License-Identifier: Apache-2.0
// The configuration keys that all three parts have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/config/config_table.h"
#include "runtime/config/endpoint.h"

namespace trap {

enum class XdpMode { native, generic };

const char* xdp_mode_name(XdpMode mode);

struct PartConfig {
  std::string part; // "server", "guard", "client"
  std::string path; // of the configuration file
  std::vector<std::string> interfaces;
  XdpMode xdp_mode = XdpMode::native; // not for the client
  std::string pin_dir;
  std::string control_socket;
  std::optional<Endpoint> metrics_listen; // where Prometheus may ask; off unless configured
};

// Reads interfaces, pin_dir, control_socket and metrics_listen, and for server and guard xdp_mode.
PartConfig read_part_config(ConfigTable& table, const std::string& part, const std::string& path);

// Interface names that are all different, as `texts` has them.
std::vector<std::string> read_interface_names(ConfigTable& table,
                                              const std::vector<ConfigString>& texts);

// For a reload: an error that names the first of these keys that was changed, because only a
// restart can apply them.
Result<void> refuse_changes_of_restart_keys(const PartConfig& running, const PartConfig& wanted);

// The same for the size of a table, which its pinned map has.
Result<void> refuse_change_of_size(const PartConfig& wanted, const char* key, std::uint32_t running,
                                   std::uint32_t asked);

// The name of a [[`kind`]]: 1 to 63 of letters, digits, '.', '_', '-'; names the table in messages
// from here on.
ConfigString read_table_name(ConfigTable& table, const std::string& kind);
ConfigString read_service_name(ConfigTable& table);

} // namespace trap
