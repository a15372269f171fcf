// SPDX-License-Identifier: Apache-2.0
// Endpoints in the form that socket calls take.
#pragma once

#include <sys/socket.h>

#include "runtime/config/endpoint.h"
#include "runtime/result.h"

namespace trap {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t bytes = 0;

  // Without the port where the kernel is to choose one, or there is none, as for raw sockets.
  SocketAddress(const Endpoint& endpoint, bool with_port);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Endpoint endpoint_of(const sockaddr_storage& storage);

// Where a socket is bound to.
Endpoint name_of_socket(int fd);

int domain_of(trap_family family);

// The address of this host that the route to `to` has. Sends nothing.
Result<trap_address> route_source(const Endpoint& to);

} // namespace trap
