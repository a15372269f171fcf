// SPDX-License-Identifier: Apache-2.0
// A TOML document as a plain tree in which every value knows its line. The same tree shows a
// configuration that is in force. The TOML library stays inside config_node.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/result.h"

namespace trap {

struct ConfigEntry;

struct ConfigNode {
  using Array = std::vector<ConfigNode>;
  using Table = std::vector<ConfigEntry>; // in the order of the file
  struct Other {                          // a TOML type that no key of ours has
    std::string type;
  };

  unsigned line = 0;                                                        // 0: not from a file
  std::variant<Other, bool, std::int64_t, std::string, Array, Table> value; // Other at first

  // "an integer", "a string", ...: for messages.
  std::string type_name() const;
};

struct ConfigEntry {
  std::string key;
  ConfigNode node;
};

// The entry of a table with this key; null if there is none, or if `table` is no table.
const ConfigNode* find_entry(const ConfigNode& table, const std::string& key);

// The value as TOML on one line: 80, "enforce", ["eth0", "eth1"].
std::string format_value(const ConfigNode& node);

// A path that the file at `config_path` names: a relative one starts at the file's directory.
std::string path_beside(const std::string& config_path, const std::string& path);

// Reads and parses a file; the root is a Table. Errors start with "file:line: " or "file: ".
Result<ConfigNode> read_config_file(const std::string& path);

// The same for text at hand; `path` only names it in errors.
Result<ConfigNode> parse_config(const std::string& text, const std::string& path);

} // namespace trap
