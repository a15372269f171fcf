// SPDX-License-Identifier: Apache-2.0
// A table of the file while its keys are read. It knows where it stands, and keeps the first thing
// that is wrong in the whole file, with file and line: readers go on and are checked once, at the
// end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/config/config_node.h"

namespace trap {

class ConfigTable {
public:
  // `root` must be a table and outlive the reader.
  ConfigTable(const ConfigNode& root, std::string path);

  // The table `node`, which `key` of `parent` has.
  ConfigTable(const ConfigNode& node, const std::string& key, const ConfigTable& parent);

  // Put before each message of this table from now on: `service "web"`.
  void name_it(std::string name) { name_ = std::move(name); }

  // Null if the file has no such key.
  const ConfigNode* find(const std::string& key) const { return find_entry(*node_, key); }

  // The value of `key`; null, and an error that says what is `wanted` ("an integer"), if it has
  // another type.
  template <class T>
  const T* as(const ConfigNode& node, const std::string& key, const std::string& wanted) {
    if (const T* value = std::get_if<T>(&node.value))
      return value;
    fail(node.line, "\"" + key + "\" must be " + wanted + ", not " + node.type_name());
    return nullptr;
  }

  // A string without control characters: no value needs them, and C ends a text at a NUL.
  const std::string* word(const ConfigNode& node, const std::string& key,
                          const char* wanted = "a string");

  // The same, and it is not empty.
  const std::string* text(const ConfigNode& node, const std::string& key);

  // An integer of `least` to `most`.
  std::optional<std::int64_t> integer(const ConfigNode& node, const std::string& key,
                                      std::int64_t least, std::int64_t most,
                                      const char* wanted = "an integer");

  void fail_missing(const std::string& key);
  void reject_keys_except(const std::vector<std::string>& known);

  void fail(unsigned line, const std::string& reason);
  void fail(Error error); // found in another file: kept as it is

  const std::string& path() const { return path_; }
  unsigned line() const { return node_->line; }

  // Where the file has the key, or item `index` of its array; the table's line if it has none.
  unsigned line_of(const std::string& key) const;
  unsigned line_of(const std::string& key, std::size_t index) const;

  // "service.backend", as a header in brackets would have it.
  std::string header_of(const std::string& key) const;

  // The first error of the file, this table's or another's.
  const std::optional<Error>& error() const { return *error_; }

private:
  const ConfigNode* node_;
  std::string path_;
  std::string header_; // of this table: empty for the root
  std::string name_;
  std::shared_ptr<std::optional<Error>> error_;
};

} // namespace trap
