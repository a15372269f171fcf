// SPDX-License-Identifier: Apache-2.0
// TCP connects of this host that never block and send nothing: does a port answer?
#pragma once

#include <optional>

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"

namespace trap::server {

// Begins one, from an address of this host if one is named. 0: it is connected; EINPROGRESS: poll
// `connection` for POLLOUT; else the error's number.
int begin_connect(Fd& connection, const std::optional<trap_address>& source, const Endpoint& to);

// How a connect ended that was in progress; 0: well.
int pending_error(const Fd& connection);

// Of this host, not of the other: such a check says nothing.
bool is_own_failure(int error_number);

} // namespace trap::server
