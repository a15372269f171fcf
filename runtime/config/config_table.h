// SPDX-License-Identifier: Apache-2.0
// A configuration table while it is read, key by key. The first thing wrong in the whole file is
// kept, with file and line, and everything after it reads as a default, so that a reader is a plain
// list of keys followed by one check.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/config/config_node.h"

namespace trap {

struct ConfigString {
  std::string text;
  unsigned line = 0;
};

struct ConfigInteger {
  std::int64_t value = 0;
  unsigned line = 0;
};

class ConfigTable {
public:
  // `root` must be a table and outlive the reader.
  ConfigTable(const ConfigNode& root, std::string path);

  // Put before each message of this table from now on: `service "web"`.
  void name_it(std::string name) { name_ = std::move(name); }

  ConfigString required_string(const std::string& key);
  ConfigString string_or(const std::string& key, const std::string& otherwise);
  ConfigString text_or(const std::string& key, const std::string& otherwise); // may be empty
  ConfigString choice_or(const std::string& key,
                         const std::vector<std::string>& choices); // the first is the default
  std::int64_t integer_or(const std::string& key, std::int64_t otherwise, std::int64_t least,
                          std::int64_t most);
  std::int64_t required_integer(const std::string& key, std::int64_t least, std::int64_t most);
  std::optional<std::vector<ConfigInteger>>
  integers_or_none(const std::string& key, std::int64_t least, std::int64_t most); // may be empty
  bool boolean_or(const std::string& key, bool otherwise);
  std::vector<ConfigString> required_strings(const std::string& key); // not empty
  std::vector<ConfigTable> required_tables(const std::string& key);   // [[key]], not empty
  std::vector<ConfigString> strings_or_none(const std::string& key);  // empty if the key is missing
  std::vector<ConfigTable> tables_or_none(const std::string& key);    // the same
  std::optional<ConfigTable> table_or_none(const std::string& key);   // [key]

  // Call after all keys were asked for: a key that was not is an error that names it and the known
  // ones.
  void reject_unknown_keys();

  void fail(unsigned line, const std::string& reason);
  void fail(Error error); // found in another file: kept as it is
  const std::string& path() const { return path_; }
  unsigned line() const { return node_->line; }

  // The first error of the file, this table's or another's.
  const std::optional<Error>& error() const { return *error_; }

private:
  ConfigTable(const ConfigNode& node, const ConfigTable& parent);

  const ConfigNode* find(const std::string& key);
  const ConfigNode* find_required(const std::string& key);
  template <class T>
  const T* get(const ConfigNode* node, const std::string& key, const char* wanted);
  std::int64_t integer_in(const ConfigNode* node, const std::string& key, std::int64_t least,
                          std::int64_t most, const char* wanted = "an integer");

  const ConfigNode* node_;
  bool is_root_ = false; // a key that is missing in the root is missing in no line
  std::string path_;
  std::string name_;
  std::vector<std::string> known_;
  std::shared_ptr<std::optional<Error>> error_;
};

} // namespace trap
