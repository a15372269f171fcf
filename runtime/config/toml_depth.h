// SPDX-License-Identifier: Apache-2.0
// Bounds the depth of a TOML text before it is parsed: the parser recurses once a
// level, as does code that walks its tree, and a file must not use up a daemon's stack.
#pragma once

#include <optional>
#include <string_view>

namespace trap {

constexpr unsigned key_parts_max = 8;     // of "a.b.c"
constexpr unsigned nested_values_max = 8; // arrays and inline tables in each other

struct TomlTooDeep {
  unsigned line = 0;
  const char* reason = "";
};

// Empty if no key has more parts, and no value is deeper. Text that is no TOML may be either.
std::optional<TomlTooDeep> find_toml_too_deep(std::string_view text);

} // namespace trap
