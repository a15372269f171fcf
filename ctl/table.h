// SPDX-License-Identifier: Apache-2.0
// Rows of cells as text in columns.
#pragma once

#include <string>
#include <vector>

namespace trap::ctl {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell, two spaces apart; the last is not padded. A line for each
// row, indented. Cells of the columns from `numbers_from` to before `numbers_to` stand at the
// right.
std::string format_rows(const std::vector<Row>& rows, const std::string& indent,
                        std::size_t numbers_from = 0, std::size_t numbers_to = 0);

} // namespace trap::ctl
