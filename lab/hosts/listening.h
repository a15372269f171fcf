// SPDX-License-Identifier: Apache-2.0
// Waiting for a program that was started to accept connections.
#pragma once

#include <chrono>
#include <string_view>

#include <sys/socket.h>

#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

// Connects from the host itself to one of its addresses until that succeeds; an error after ten
// seconds.
Result<void> wait_until_accepting(const Host& host, std::string_view address, int port);

// Connects from a host, of its address `source` if that is given. False after `within`, or if the
// connection is refused.
bool connects(const Host& from, std::string_view address, int port,
              std::chrono::milliseconds within, std::string_view source = {});

// The address of either family as a socket address. `length` says how many bytes of it count.
sockaddr_storage socket_address(std::string_view address, int port, socklen_t& length);

} // namespace trap::lab
