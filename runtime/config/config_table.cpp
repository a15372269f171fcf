// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/config_table.h"

#include <algorithm>

#include <fmt/format.h>

namespace trap {

ConfigTable::ConfigTable(const ConfigNode& root, std::string path)
    : node_(&root), is_root_(true), path_(std::move(path)),
      error_(std::make_shared<std::optional<Error>>()) {}

ConfigTable::ConfigTable(const ConfigNode& node, const ConfigTable& parent)
    : node_(&node), path_(parent.path_), name_(parent.name_), error_(parent.error_) {}

void ConfigTable::fail(unsigned line, const std::string& reason) {
  if (*error_)
    return;
  std::string place = line ? fmt::format("{}:{}", path_, line) : path_;
  std::string who = name_.empty() ? "" : name_ + ": ";
  *error_ = Error{fmt::format("{}: {}{}", place, who, reason), ExitCode::usage};
}

void ConfigTable::fail(Error error) {
  if (!*error_)
    *error_ = std::move(error);
}

const ConfigNode* ConfigTable::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end())
    known_.push_back(key);
  for (const ConfigEntry& entry : std::get<ConfigNode::Table>(node_->value)) {
    if (entry.key == key)
      return &entry.node;
  }
  return nullptr;
}

const ConfigNode* ConfigTable::find_required(const std::string& key) {
  const ConfigNode* node = find(key);
  if (!node)
    fail(is_root_ ? 0 : line(), fmt::format("key \"{}\" is missing: add it", key));
  return node;
}

template <class T>
const T* ConfigTable::get(const ConfigNode* node, const std::string& key, const char* wanted) {
  if (!node)
    return nullptr;
  if (const T* value = std::get_if<T>(&node->value))
    return value;
  fail(node->line, fmt::format("\"{}\" must be {}, not {}", key, wanted, node->type_name()));
  return nullptr;
}

ConfigString ConfigTable::required_string(const std::string& key) {
  const ConfigNode* node = find_required(key);
  const auto* text = get<std::string>(node, key, "a string");
  if (!text)
    return {};
  if (text->empty())
    fail(node->line, fmt::format("\"{}\" is empty", key));
  return {*text, node->line};
}

ConfigString ConfigTable::text_or(const std::string& key, const std::string& otherwise) {
  const ConfigNode* node = find(key);
  const auto* text = get<std::string>(node, key, "a string");
  return text ? ConfigString{*text, node->line} : ConfigString{otherwise, line()};
}

ConfigString ConfigTable::string_or(const std::string& key, const std::string& otherwise) {
  const ConfigNode* node = find(key);
  const auto* text = get<std::string>(node, key, "a string");
  if (!text)
    return {otherwise, line()};
  if (text->empty())
    fail(node->line, fmt::format("\"{}\" is empty", key));
  return {*text, node->line};
}

ConfigString ConfigTable::choice_or(const std::string& key,
                                    const std::vector<std::string>& choices) {
  ConfigString chosen = string_or(key, choices.front());
  if (std::find(choices.begin(), choices.end(), chosen.text) == choices.end())
    fail(chosen.line, fmt::format(R"("{}" is "{}": write one of "{}")", key, chosen.text,
                                  fmt::join(choices, "\", \"")));
  return chosen;
}

std::int64_t ConfigTable::integer_in(const ConfigNode* node, const std::string& key,
                                     std::int64_t least, std::int64_t most, const char* wanted) {
  const auto* value = get<std::int64_t>(node, key, wanted);
  if (!value)
    return least;
  if (*value < least || *value > most) {
    fail(node->line,
         fmt::format("\"{}\" is {}: write a number from {} to {}", key, *value, least, most));
    return least;
  }
  return *value;
}

std::int64_t ConfigTable::integer_or(const std::string& key, std::int64_t otherwise,
                                     std::int64_t least, std::int64_t most) {
  const ConfigNode* node = find(key);
  return node ? integer_in(node, key, least, most) : otherwise;
}

std::int64_t ConfigTable::required_integer(const std::string& key, std::int64_t least,
                                           std::int64_t most) {
  return integer_in(find_required(key), key, least, most);
}

std::optional<std::vector<ConfigInteger>>
ConfigTable::integers_or_none(const std::string& key, std::int64_t least, std::int64_t most) {
  const ConfigNode* node = find(key);
  const auto* array = get<ConfigNode::Array>(node, key, "an array of integers");
  if (!array)
    return std::nullopt;
  std::vector<ConfigInteger> integers;
  for (const ConfigNode& item : *array)
    integers.push_back({integer_in(&item, key, least, most, "an array of integers"), item.line});
  return integers;
}

bool ConfigTable::boolean_or(const std::string& key, bool otherwise) {
  const bool* value = get<bool>(find(key), key, "a boolean (true or false)");
  return value ? *value : otherwise;
}

std::vector<ConfigString> ConfigTable::required_strings(const std::string& key) {
  const ConfigNode* node = find_required(key);
  const auto* array = get<ConfigNode::Array>(node, key, "an array of strings");
  std::vector<ConfigString> strings;
  if (!array)
    return strings;
  if (array->empty())
    fail(node->line, fmt::format("\"{}\" is empty: name at least one", key));
  for (const ConfigNode& item : *array) {
    if (const auto* text = get<std::string>(&item, key, "an array of strings"))
      strings.push_back({*text, item.line});
  }
  return strings;
}

std::vector<ConfigTable> ConfigTable::required_tables(const std::string& key) {
  const ConfigNode* node = find(key);
  std::string form = name_.empty() ? key : "service." + key;
  std::vector<ConfigTable> tables;
  if (!node) {
    fail(is_root_ ? 0 : line(), fmt::format("no [[{}]]: add at least one", form));
    return tables;
  }
  const auto* array =
      get<ConfigNode::Array>(node, key, fmt::format("a list of [[{}]] tables", form).c_str());
  if (!array)
    return tables;
  if (array->empty())
    fail(node->line, fmt::format("no [[{}]]: add at least one", form));
  for (const ConfigNode& item : *array) {
    if (get<ConfigNode::Table>(&item, key, fmt::format("a list of [[{}]] tables", form).c_str()))
      tables.push_back(ConfigTable(item, *this));
  }
  return tables;
}

std::vector<ConfigString> ConfigTable::strings_or_none(const std::string& key) {
  return find(key) ? required_strings(key) : std::vector<ConfigString>();
}

std::vector<ConfigTable> ConfigTable::tables_or_none(const std::string& key) {
  return find(key) ? required_tables(key) : std::vector<ConfigTable>();
}

std::optional<ConfigTable> ConfigTable::table_or_none(const std::string& key) {
  const ConfigNode* node = find(key);
  if (!get<ConfigNode::Table>(node, key, fmt::format("a table: write [{}]", key).c_str()))
    return std::nullopt;
  return ConfigTable(*node, *this);
}

void ConfigTable::reject_unknown_keys() {
  for (const ConfigEntry& entry : std::get<ConfigNode::Table>(node_->value)) {
    if (std::find(known_.begin(), known_.end(), entry.key) == known_.end())
      fail(entry.node.line,
           fmt::format(
               "unknown key \"{}\": known here are {}{}", entry.key, fmt::join(known_, ", "),
               is_root_ ? "" : "; what is for the whole file stands before its first [[table]]"));
  }
}

} // namespace trap
