// SPDX-License-Identifier: Apache-2.0
// The output of the key subcommands.
#pragma once

#include <string>

#include "runtime/result.h"

namespace trap::ctl {

// A new file of mode 0600 with `text`; never one that exists. "-" is stdout. Nothing is left behind
// on failure.
Result<void> write_key(const std::string& file, const std::string& text);

} // namespace trap::ctl
