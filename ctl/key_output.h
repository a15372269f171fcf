// SPDX-License-Identifier: Apache-2.0
// Where the key subcommands write.
#ifndef TRAP_CTL_KEY_OUTPUT_H
#define TRAP_CTL_KEY_OUTPUT_H

#include <string>

#include "runtime/result.h"

namespace trap::ctl {

// A new file of mode 0600 with `text`; never one that exists. "-" is stdout. Nothing is left behind on failure.
Result<void> write_key(const std::string& file, const std::string& text);

} // namespace trap::ctl

#endif
