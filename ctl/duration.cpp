// SPDX-License-Identifier: Apache-2.0
#include "ctl/duration.h"

#include <charconv>

#include <fmt/core.h>

namespace trap::ctl {

Result<std::uint64_t> parse_duration_s(const std::string& text) {
  constexpr std::uint64_t kDayS = 86400;
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const std::uint64_t unit_s = unit.empty() || unit == "s" ? 1
                               : unit == "m"               ? 60
                               : unit == "h"               ? 3600
                                                           : 0;
  if (failed != std::errc() || unit_s == 0 || number == 0 || number > kDayS ||
      number * unit_s > kDayS)
    return Error{fmt::format("\"{}\" is no time: write 60s, 5m or 1h, up to a day", text),
                 ExitCode::usage};
  return number * unit_s;
}

} // namespace trap::ctl
