// SPDX-License-Identifier: Apache-2.0
// trap-server's answers to GET /status, /ready and /metrics.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "runtime/control/metrics.h"
#include "runtime/control/readiness.h"
#include "server/daemon/running/running_server.h"

namespace trap::server {

void describe_server(const RunningServer& server, nlohmann::ordered_json& status);
std::vector<Readiness> readiness_of(const RunningServer& server);
void measure_server(const RunningServer& server, Metrics& metrics);

} // namespace trap::server
