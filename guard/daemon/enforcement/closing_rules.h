// SPDX-License-Identifier: Apache-2.0
// Rules for nft that close the protected ports until the guard's programs are attached: the unit's
// optional drop-in loads them at a boot whose interfaces come after the guard's start.
#pragma once

#include <string>

#include "guard/daemon/config/guard_config.h"

namespace trap::guard {

// A table of its own; empty if the guard would drop nothing.
std::string closing_rules(const GuardConfig& config);

} // namespace trap::guard
