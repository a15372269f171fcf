// SPDX-License-Identifier: Apache-2.0
// Commands of trap-client's control socket: POST /redirects/flush and
// /redirects/flush/ADDRESS:PORT.
#pragma once

#include <string>
#include <vector>

#include "client/daemon/running/running_client.h"

namespace trap::client {

// Returns JSON.
Result<std::string> run_client_command(RunningClient& client,
                                       const std::vector<std::string>& words);

} // namespace trap::client
