// SPDX-License-Identifier: Apache-2.0
// Commands of trap-server's control socket: POST /backends/SERVICE/ADDRESS:PORT/drain or activate.
#pragma once

#include <string>
#include <vector>

#include "server/daemon/running/running_server.h"

namespace trap::server {

// Returns JSON. A service or backend that does not exist is an error with ExitCode::not_running,
// which the control socket answers as "not found".
Result<std::string> run_server_command(RunningServer& server,
                                       const std::vector<std::string>& words);

} // namespace trap::server
