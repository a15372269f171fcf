// SPDX-License-Identifier: Apache-2.0
// trap-client's answers to GET /status and GET /metrics.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "client/daemon/running/running_client.h"
#include "runtime/control/metrics.h"

namespace trap::client {

void describe_client(const RunningClient& client, nlohmann::ordered_json& status);
void measure_client(const RunningClient& client, Metrics& metrics);

} // namespace trap::client
