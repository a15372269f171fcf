// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/config_node.h"

#include <algorithm>
#include <filesystem>

#include <unistd.h>

#include <fmt/core.h>
#include <toml++/toml.h>

#include "runtime/config/toml_depth.h"
#include "runtime/fd.h"

namespace trap {
namespace {

constexpr std::size_t config_limit_bytes = 1 << 20;

ConfigNode convert(const toml::node& node);

ConfigNode::Array convert_array(const toml::array& array) {
  ConfigNode::Array out;
  for (const toml::node& item : array)
    out.push_back(convert(item));
  return out;
}

ConfigNode::Table convert_table(const toml::table& table) {
  ConfigNode::Table out;
  for (auto&& [key, item] : table) {
    ConfigNode node = convert(item);
    if (key.source().begin.line)
      node.line = key.source().begin.line;
    out.push_back({std::string(key.str()), std::move(node)});
  }
  std::stable_sort(out.begin(), out.end(), [](const ConfigEntry& a, const ConfigEntry& b) {
    return a.node.line < b.node.line;
  });
  return out;
}

std::string other_type(const toml::node& node) {
  switch (node.type()) {
  case toml::node_type::floating_point:
    return "a floating-point number";
  case toml::node_type::date:
  case toml::node_type::time:
  case toml::node_type::date_time:
    return "a date or time";
  default:
    return "something else";
  }
}

ConfigNode convert(const toml::node& node) {
  ConfigNode out;
  out.line = node.source().begin.line;
  if (const auto* table = node.as_table())
    out.value = convert_table(*table);
  else if (const auto* array = node.as_array())
    out.value = convert_array(*array);
  else if (const auto* text = node.as_string())
    out.value = text->get();
  else if (const auto* integer = node.as_integer())
    out.value = integer->get();
  else if (const auto* boolean = node.as_boolean())
    out.value = boolean->get();
  else
    out.value = ConfigNode::Other{other_type(node)};
  return out;
}

// The parser's description without the words of the file that it quotes: the file may be another
// than was meant, such as a key. Single characters stay.
std::string without_quotations(std::string_view description) {
  std::string out;
  while (!description.empty()) {
    const std::size_t from = description.find('\'');
    const std::size_t to = from == std::string_view::npos ? from : description.find('\'', from + 1);
    if (to == std::string_view::npos || to - from <= 2) {
      const std::size_t taken = to == std::string_view::npos ? description.size() : to + 1;
      out += description.substr(0, taken);
      description.remove_prefix(taken);
      continue;
    }
    out += fmt::format("{}'...'", description.substr(0, from));
    description.remove_prefix(to + 1);
  }
  return out;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    if (c == '"' || c == '\\')
      out += '\\';
    if (is_control)
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + "\"";
}

} // namespace

std::string ConfigNode::type_name() const {
  switch (value.index()) {
  case 1:
    return "a boolean";
  case 2:
    return "an integer";
  case 3:
    return "a string";
  case 4:
    return "an array";
  case 5:
    return "a table";
  default:
    return std::get<Other>(value).type;
  }
}

const ConfigNode* find_entry(const ConfigNode& table, const std::string& key) {
  const auto* entries = std::get_if<ConfigNode::Table>(&table.value);
  if (!entries)
    return nullptr;
  for (const ConfigEntry& entry : *entries) {
    if (entry.key == key)
      return &entry.node;
  }
  return nullptr;
}

std::string format_value(const ConfigNode& node) {
  if (const auto* boolean = std::get_if<bool>(&node.value))
    return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&node.value))
    return std::to_string(*integer);
  if (const auto* text = std::get_if<std::string>(&node.value))
    return quoted(*text);
  std::string all;
  if (const auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
    for (const ConfigNode& item : *array)
      all += (all.empty() ? "" : ", ") + format_value(item);
    return "[" + all + "]";
  }
  if (const auto* table = std::get_if<ConfigNode::Table>(&node.value)) {
    for (const ConfigEntry& entry : *table)
      all += fmt::format("{}{} = {}", all.empty() ? "" : ", ", entry.key, format_value(entry.node));
    return "{ " + all + " }";
  }
  return "";
}

std::string path_beside(const std::string& config_path, const std::string& path) {
  return (std::filesystem::path(config_path).parent_path() / path).string();
}

Result<ConfigNode> parse_config(const std::string& text, const std::string& path) {
  if (const auto deep = find_toml_too_deep(text))
    return Error{
        fmt::format("{}:{}: not TOML that this program reads: {}", path, deep->line, deep->reason),
        ExitCode::usage};
  // The shared library throws: the only place where an exception is expected.
  try {
    toml::table table = toml::parse(text, path);
    return convert(table);
  } catch (const toml::parse_error& error) {
    return Error{fmt::format("{}:{}: not TOML: {}", path, error.source().begin.line,
                             without_quotations(error.description())),
                 ExitCode::usage};
  }
}

Result<ConfigNode> read_config_file(const std::string& path) {
  auto text = read_file(path, config_limit_bytes, FileTrust::settings);
  if (!text && access(path.c_str(), F_OK) != 0)
    return Error{text.error().message + ": write it, or name another file with --config",
                 ExitCode::usage};
  if (!text)
    return text.error();
  return parse_config(*text, path);
}

} // namespace trap
