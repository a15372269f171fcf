// SPDX-License-Identifier: Apache-2.0
// Commands of trap-guard's control socket: POST /enforce, /confirm, /monitor, /suspects.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "guard/daemon/running/running_guard.h"

namespace trap::guard {

// Returns JSON.
Result<std::string> run_guard_command(RunningGuard& guard, const std::vector<std::string>& words);

// Mode, configured mode, and the seconds left of a trial; also part of GET /status.
nlohmann::ordered_json enforcement_json(const RunningGuard& guard);

} // namespace trap::guard
