// SPDX-License-Identifier: Apache-2.0
// Asks a daemon at its control socket. The HTTP library stays inside control_client.cpp.
#ifndef TRAP_CTL_CONTROL_CLIENT_H
#define TRAP_CTL_CONTROL_CLIENT_H

#include <optional>
#include <string>

#include "runtime/result.h"

namespace trap::ctl {

// The body of GET /status; nothing if nobody listens there; an error if somebody does but cannot be asked.
Result<std::optional<std::string>> fetch_status(const std::string& socket_path);

} // namespace trap::ctl

#endif
