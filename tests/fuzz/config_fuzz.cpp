// SPDX-License-Identifier: Apache-2.0
// Any text as a configuration (the first byte chooses the part): it is read, or refused by one line
// that names the file. The values that a daemon shows are TOML that says the same.
#include "client/daemon/config/client_config.h"
#include "guard/daemon/config/guard_config.h"
#include "runtime/config/config_node.h"
#include "server/daemon/config/server_config.h"
#include "tests/fuzz/text_fuzz.h"

namespace {

using namespace trap;

template <class Config>
void read(const std::string& path, Result<Config> (*reader)(const std::string&)) {
  const Result<Config> config = reader(path);
  if (config)
    return;
  fuzz::require_message(config.error().message);
  fuzz::require(config.error().message.find(path) != std::string::npos);
}

// What is printed on one line is read as the same.
void check_values(const ConfigNode& root) {
  const auto* table = std::get_if<ConfigNode::Table>(&root.value);
  fuzz::require(table != nullptr);
  for (const ConfigEntry& entry : *table) {
    if (std::holds_alternative<ConfigNode::Other>(entry.node.value) ||
        std::holds_alternative<ConfigNode::Table>(entry.node.value) ||
        std::holds_alternative<ConfigNode::Array>(entry.node.value))
      continue;
    const std::string text = format_value(entry.node);
    const auto again = parse_config("key = " + text, "again");
    fuzz::require(static_cast<bool>(again));
    const ConfigNode* node = find_entry(*again, "key");
    fuzz::require(node != nullptr && format_value(*node) == text);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1)
    return 0;
  const std::string_view text = fuzz::text_of(data + 1, size - 1);
  // A policy may name another file, which must not be one of this host's.
  if (text.find("file") != std::string_view::npos)
    return 0;
  if (const auto root = parse_config(std::string(text), "text"))
    check_values(*root);
  else
    fuzz::require_message(root.error().message);
  const fuzz::MemoryFile file(text);
  switch (data[0] % 3) {
  case 0:
    read(file.path(), server::read_server_config);
    break;
  case 1:
    read(file.path(), guard::read_guard_config);
    break;
  default:
    read(file.path(), client::read_client_config);
    break;
  }
  return 0;
}
