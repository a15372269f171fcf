// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/key_facts.h"
#include "runtime/json_text.h"

#include <functional>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace trap {
namespace {

using nlohmann::ordered_json;

// Calls `with` for every key, outer tables first, with its whole name.
void walk(const std::vector<KeyFacts>& keys, const std::string& of,
          const std::function<void(const KeyFacts&, const std::string&)>& with) {
  for (const KeyFacts& key : keys) {
    with(key, of + key.name);
    walk(key.keys, of + key.name + ".", with);
  }
}

std::string default_in_words(const KeyFacts& key) {
  if (key.required)
    return "required";
  return key.fallback.empty() ? "none" : key.fallback;
}

} // namespace

const char* applied_by_name(AppliedBy by) {
  switch (by) {
  case AppliedBy::reload:
    return "reload";
  case AppliedBy::restart:
    return "restart";
  default:
    return "detach";
  }
}

const char* key_type_name(KeyType type) {
  switch (type) {
  case KeyType::boolean:
    return "boolean";
  case KeyType::integer:
    return "integer";
  case KeyType::string:
    return "string";
  case KeyType::integers:
    return "array of integers";
  case KeyType::strings:
    return "array of strings";
  case KeyType::table:
    return "table";
  default:
    return "array of tables";
  }
}

std::string fallback_text(const ConfigNode& value) {
  const std::string text = format_value(value);
  return text == "\"\"" || text == "[]" ? "" : text;
}

std::string list_keys(const std::vector<KeyFacts>& keys) {
  std::string lines = "key\ttype\taccepted\tdefault\tapplied by\tmeaning\n";
  walk(keys, "", [&](const KeyFacts& key, const std::string& name) {
    lines += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", name, key_type_name(key.type), key.accepted,
                         default_in_words(key), applied_by_name(key.by), key.meaning);
  });
  return lines;
}

std::string list_keys_json(const std::vector<KeyFacts>& keys) {
  auto list = ordered_json::array();
  walk(keys, "", [&](const KeyFacts& key, const std::string& name) {
    ordered_json json = {{"key", name},
                         {"type", key_type_name(key.type)},
                         {"accepted", key.accepted},
                         {"required", key.required},
                         {"default", nullptr},
                         {"default_is_words", key.fallback_is_words},
                         {"applied_by", applied_by_name(key.by)},
                         {"meaning", key.meaning}};
    if (!key.fallback.empty())
      json["default"] = key.fallback;
    list.push_back(std::move(json));
  });
  return json_text(list, 2) + "\n";
}

} // namespace trap
