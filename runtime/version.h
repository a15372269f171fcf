// SPDX-License-Identifier: Apache-2.0
// The version of TRAP's programs, which CMake's project() sets.
#pragma once

namespace trap {

extern const char* const program_version; // "0.5.0"

} // namespace trap
