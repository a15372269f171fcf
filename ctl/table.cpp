// SPDX-License-Identifier: Apache-2.0
#include "ctl/table.h"

#include <algorithm>

#include <fmt/core.h>

namespace trap::ctl {

std::string format_rows(const std::vector<Row>& rows, const std::string& indent,
                        std::size_t numbers_from, std::size_t numbers_to) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); i++)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    text += indent;
    for (std::size_t i = 0; i < row.size(); i++) {
      if (i >= numbers_from && i < numbers_to)
        text += fmt::format("{:>{}}", row[i], widths[i]);
      else
        text += i + 1 < row.size() ? fmt::format("{:<{}}", row[i], widths[i]) : row[i];
      text += i + 1 < row.size() ? "  " : "";
    }
    text += '\n';
  }
  return text;
}

} // namespace trap::ctl
