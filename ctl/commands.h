// SPDX-License-Identifier: Apache-2.0
// What trapctl's subcommands do once the command line is read; one file for each.
#ifndef TRAP_CTL_COMMANDS_H
#define TRAP_CTL_COMMANDS_H

#include <string>

#include "runtime/result.h"

namespace trap::ctl {

// Writes a new master key to a file that must not exist yet, or to stdout for "-".
Result<void> generate_key(const std::string& file);

// Writes the key of a guard, made from the master key, likewise.
Result<void> derive_key(const std::string& guard, const std::string& master_file, const std::string& output);

struct StatusRequest {
  std::string part;    // empty: every part there is
  std::string socket;  // empty: the part's usual one
  std::string pin_dir; // empty: the part's usual one
  bool json = false;
};

// Prints; the exit code says whether all parts run as they should. An error is for what is not a part's state.
Result<ExitCode> show_status(const StatusRequest& request);

} // namespace trap::ctl

#endif
