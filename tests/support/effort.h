// SPDX-License-Identifier: Apache-2.0
// Tests that could go on for ever ask here whether to: `make test` has minutes, `make test-slow`
// sets TRAP_THOROUGH=1. Both try every kind of input; they differ in how many of each.
#pragma once

#include <cstdlib>

namespace trap::test {

inline bool is_thorough() {
  return std::getenv("TRAP_THOROUGH") != nullptr;
}

} // namespace trap::test
