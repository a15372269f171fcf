// SPDX-License-Identifier: Apache-2.0
// The output of a command arrives whole, or is an error: a report, rules or a key on a full disk
// are not half there with exit code 0.
#pragma once

#include <functional>

#include "runtime/result.h"

namespace trap {

// First of all in a program. A standard stream that is closed stays taken, and cannot be read or
// written: else the next file or socket gets its number, and what is printed. And a limit of a
// file's size is an error of who writes, as a full disk is, and not the end of the program.
void prepare_to_write();

// Runs a command that prints to stdout by fmt, stdio or a stream. An error of the command's own
// comes first.
Result<ExitCode> print_whole(const std::function<Result<ExitCode>()>& command);

} // namespace trap
