// SPDX-License-Identifier: Apache-2.0
// The facts of a declared key, apart from the struct it is read into: for `--list-keys`, for the
// pages that are checked against it, and for the comparison of two configurations.
#pragma once

#include <string>
#include <vector>

#include "runtime/config/config_node.h"

namespace trap {

// A change of a key takes effect by...
enum class AppliedBy {
  reload,
  restart, // of the daemon, which loses no packet
  detach,  // --detach, and a start after it
};

const char* applied_by_name(AppliedBy by);

enum class KeyType { boolean, integer, string, integers, strings, table, tables };

const char* key_type_name(KeyType type);

struct KeyFacts {
  std::string name;
  KeyType type = KeyType::string;
  std::string accepted = {}; // "0 to 3600", "\"enforce\", \"monitor\""; empty: the type says it all
  AppliedBy by = AppliedBy::reload;
  std::string meaning = {};
  bool required = false;
  std::string fallback = {};              // the default as TOML; empty: none
  bool fallback_is_words = false;         // it follows from other keys, and is a phrase
  std::vector<KeyFacts> keys = {};        // of a table
  std::vector<std::string> identity = {}; // of an array of tables: the keys that tell them apart
};

// The default of a key as the list has it: TOML, or empty for one that is off.
std::string fallback_text(const ConfigNode& value);

// Every key on a line: path, type, default, what applies a change, meaning; tab-separated, with a
// heading.
std::string list_keys(const std::vector<KeyFacts>& keys);

// The same as a JSON array of objects: key ("service.backend.weight"), type, accepted, required,
// default (null: none), default_is_words, applied_by, meaning. Tables have entries, too.
std::string list_keys_json(const std::vector<KeyFacts>& keys);

} // namespace trap
