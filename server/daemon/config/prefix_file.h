// SPDX-License-Identifier: Apache-2.0
// Files of client prefixes: one a line, '#' begins a comment, empty lines are fine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/daemon/config/client_prefix.h"

namespace trap::server {

struct PrefixLine {
  ClientPrefix prefix;
  unsigned line = 0;
};

// Errors are FILE:LINE: reason, or FILE: reason if the file cannot be read.
Result<std::vector<PrefixLine>> read_prefix_file(const std::string& path);

// The same for text at hand; `path` only names it in errors.
Result<std::vector<PrefixLine>> parse_prefixes(std::string_view text, const std::string& path);

} // namespace trap::server
