// SPDX-License-Identifier: Apache-2.0
// Times as people write them on a command line.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/result.h"

namespace trap::ctl {

// "90", "90s", "5m" or "1h" in seconds: from a second to a day.
Result<std::uint64_t> parse_duration_s(const std::string& text);

} // namespace trap::ctl
