// SPDX-License-Identifier: Apache-2.0
// Warnings of connections that a configuration would cut off by accident: the operator's own, and
// those that the guard cannot know.
#pragma once

#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "guard/daemon/config/guard_config.h"
#include "guard/maps.h"
#include "runtime/net/ssh_connection.h"

namespace trap::guard {

// Established TCP connections as /proc/net/tcp and /proc/net/tcp6 list them; the near end is the
// service's.
std::vector<trap_flow_key> read_established(std::istream& table);
std::vector<trap_flow_key> established_here();

// One line each that says what to do. `open`: connections that no flow of the guard stands for.
std::vector<std::string> lockout_warnings(const GuardConfig& config,
                                          const std::optional<SshConnection>& ssh,
                                          const std::vector<trap_flow_key>& open);

} // namespace trap::guard
