// SPDX-License-Identifier: Apache-2.0
#include "runtime/version.h"

namespace trap {

const char* const program_version = TRAP_VERSION; // defined for this source alone

} // namespace trap
