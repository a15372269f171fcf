// SPDX-License-Identifier: Apache-2.0
// trap-guard's answers to GET /status and GET /metrics, and its last words in the log.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "guard/daemon/running/running_guard.h"
#include "runtime/control/metrics.h"

namespace trap::guard {

void describe_guard(const RunningGuard& guard, nlohmann::ordered_json& status);
void measure_guard(const RunningGuard& guard, Metrics& metrics);

// Until when the keys last that a stopping daemon leaves, and what happens then.
std::string parting_words_of(const RunningGuard& guard);

} // namespace trap::guard
