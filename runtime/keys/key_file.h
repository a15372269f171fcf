// SPDX-License-Identifier: Apache-2.0
// Key files: one line, `trap-master-1 BASE64` or `trap-guard-1 NAME BASE64`, readable by their
// owner alone. The first word keeps a master key from being used, or left, in the place of a
// guard's secret.
#pragma once

#include <string>

#include "runtime/keys/key_derivation.h"
#include "runtime/result.h"

namespace trap {

struct GuardKey {
  std::string name;
  Secret secret;
};

// Errors name the file and what to do; exit code `usage`.
Result<Secret> read_master_key(const std::string& path);
Result<GuardKey> read_guard_key(const std::string& path);

Result<Secret> generate_master_key();

// The line of a key file, with its newline.
std::string format_master_key(const Secret& master);
std::string format_guard_key(const GuardKey& key);

} // namespace trap
