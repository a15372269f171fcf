// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/config_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/config/nearest_word.h"

namespace trap {
namespace {

constexpr std::size_t reason_begins_bytes = 300, reason_ends_bytes = 150;

// A value of any length may be in it.
std::string shortened(const std::string& reason) {
  if (reason.size() <= reason_begins_bytes + reason_ends_bytes)
    return reason;
  return reason.substr(0, reason_begins_bytes) + " ... " +
         reason.substr(reason.size() - reason_ends_bytes);
}

bool has_control_characters(const std::string& text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 127; });
}

} // namespace

ConfigTable::ConfigTable(const ConfigNode& root, std::string path)
    : node_(&root), path_(std::move(path)), error_(std::make_shared<std::optional<Error>>()) {}

ConfigTable::ConfigTable(const ConfigNode& node, const std::string& key, const ConfigTable& parent)
    : node_(&node), path_(parent.path_), header_(parent.header_of(key)), name_(parent.name_),
      error_(parent.error_) {}

void ConfigTable::fail(unsigned line, const std::string& reason) {
  if (*error_)
    return;
  const std::string where = line ? fmt::format("{}:{}", path_, line) : path_;
  const std::string name = name_.empty() ? "" : name_ + ": ";
  *error_ = Error{fmt::format("{}: {}{}", where, name, shortened(reason)), ExitCode::usage};
}

void ConfigTable::fail(Error error) {
  if (!*error_)
    *error_ = std::move(error);
}

const std::string* ConfigTable::word(const ConfigNode& node, const std::string& key,
                                     const char* wanted) {
  const auto* text = as<std::string>(node, key, wanted);
  if (text && has_control_characters(*text)) {
    fail(node.line,
         fmt::format("\"{}\" is \"{}\": write it without control characters", key, *text));
    return nullptr;
  }
  return text;
}

const std::string* ConfigTable::text(const ConfigNode& node, const std::string& key) {
  const auto* text = word(node, key, "a string");
  if (text && text->empty())
    fail(node.line, fmt::format("\"{}\" is empty", key));
  return text && !text->empty() ? text : nullptr;
}

std::optional<std::int64_t> ConfigTable::integer(const ConfigNode& node, const std::string& key,
                                                 std::int64_t least, std::int64_t most,
                                                 const char* wanted) {
  const auto* value = as<std::int64_t>(node, key, wanted);
  if (!value)
    return std::nullopt;
  if (*value < least || *value > most) {
    fail(node.line,
         fmt::format("\"{}\" is {}: write a number from {} to {}", key, *value, least, most));
    return std::nullopt;
  }
  return *value;
}

// A key that is missing in the root is missing in no line.
void ConfigTable::fail_missing(const std::string& key) {
  fail(header_.empty() ? 0 : line(), fmt::format("key \"{}\" is missing: add it", key));
}

void ConfigTable::reject_keys_except(const std::vector<std::string>& known) {
  for (const ConfigEntry& entry : std::get<ConfigNode::Table>(node_->value)) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end())
      continue;
    const std::string nearest = nearest_word(entry.key, known);
    fail(entry.node.line,
         nearest.empty()
             ? fmt::format("unknown key \"{}\": known here are {}{}", entry.key,
                           fmt::join(known, ", "),
                           header_.empty()
                               ? ""
                               : "; what is for the whole file stands before its first [[table]]")
             : fmt::format("unknown key \"{}\": did you mean \"{}\"?", entry.key, nearest));
  }
}

unsigned ConfigTable::line_of(const std::string& key) const {
  const ConfigNode* node = find(key);
  return node ? node->line : line();
}

unsigned ConfigTable::line_of(const std::string& key, std::size_t index) const {
  const ConfigNode* node = find(key);
  const auto* array = node ? std::get_if<ConfigNode::Array>(&node->value) : nullptr;
  return array && index < array->size() ? (*array)[index].line : line_of(key);
}

std::string ConfigTable::header_of(const std::string& key) const {
  return header_.empty() ? key : header_ + "." + key;
}

} // namespace trap
