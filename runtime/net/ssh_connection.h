// SPDX-License-Identifier: Apache-2.0
// The SSH connection that this process was started through, so that nobody cuts off his own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/config/endpoint.h"

namespace trap {

struct SshConnection {
  trap_address client = {};
  std::uint16_t server_port = 0;
};

// From SSH_CONNECTION's value: "CLIENT PORT SERVER PORT".
std::optional<SshConnection> parse_ssh_connection(const std::string& value);

// From the environment, or that of the processes this one comes from: sudo does not hand
// SSH_CONNECTION on.
std::optional<SshConnection> find_ssh_connection();

} // namespace trap
