// SPDX-License-Identifier: Apache-2.0
// The words of a command at the control socket (docs/reference/control-socket.md).
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace trap {

// A decimal number that is the whole word; nothing if it is anything else, or too large.
inline std::optional<std::uint64_t> number_in(std::string_view word) {
  std::uint64_t number = 0;
  const char* stop = word.data() + word.size();
  const auto [end, failed] = std::from_chars(word.data(), stop, number);
  if (failed != std::errc() || end != stop)
    return std::nullopt;
  return number;
}

} // namespace trap
