// SPDX-License-Identifier: Apache-2.0
// The configuration keys that all three parts have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/config/endpoint.h"
#include "runtime/config/key.h"

namespace trap {

enum class XdpMode { native, generic };

const char* xdp_mode_name(XdpMode mode);

struct PartConfig {
  std::string part; // "server", "guard", "client"
  std::string path; // of the configuration file
  std::vector<std::string> interfaces;
  std::vector<std::string> except;    // names and patterns that those of interfaces do not match
  XdpMode xdp_mode = XdpMode::native; // not for the client
  std::string pin_dir;
  std::string control_socket;
  std::string control_group; // whose members may read at the control socket; empty: root alone
  std::optional<Endpoint> metrics_listen; // where Prometheus may ask; off unless configured
};

// The defaults of a part.
PartConfig make_part_config(const std::string& part);

// interfaces, except, pin_dir, control_socket, control_group and metrics_listen; for server and
// guard also xdp_mode.
Keys<PartConfig> part_keys(const std::string& part);

struct NameList {
  const char* key;
  const std::vector<std::string>& names;
};

// A name in two lists can be meant in one of them only: an error where the second has it.
void refuse_both(ConfigTable& table, const NameList& one, const NameList& other);

// The same for "interfaces" and "except".
void refuse_excepted(ConfigTable& table, const PartConfig& config);

// Interface names, or patterns of them.
Written<std::string> interface_name();

// A path of a file, absolute or not.
Written<std::string> file_path();

// "203.0.113.10:80".
Written<Endpoint> address_and_port();

// 1 to 63 of letters, digits, '.', '_' and '-'.
bool is_table_name(const std::string& text);

// The key `name` of a [[`kind`]], which names the table in messages from there on.
template <class Config>
Key<Config> table_name(std::string kind, std::string Config::*member, std::string meaning) {
  Key<Config> key = required(string("name", member,
                                    {.parse = nullptr,
                                     .format = [](const std::string& s) { return s; },
                                     .accepted = "1 to 63 of letters, digits, '.', '_' and '-'"},
                                    by_reload, std::move(meaning)));
  key.take = [kind, member](ConfigTable& table, const ConfigNode& node, Config& config) {
    const std::string* text = table.text(node, "name");
    if (!text)
      return;
    if (!is_table_name(*text))
      table.fail(node.line,
                 kind + " name \"" + *text + "\": use 1 to 63 letters, digits, '.', '_' or '-'");
    config.*member = *text;
    table.name_it(kind + " \"" + *text + "\"");
  };
  return key;
}

} // namespace trap
