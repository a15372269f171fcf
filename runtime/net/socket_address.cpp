// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/socket_address.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>

#include <fmt/core.h>

#include "runtime/fd.h"

namespace trap {

SocketAddress::SocketAddress(const Endpoint& endpoint, bool with_port) {
  const __be16 port = with_port ? TRAP_BE16(endpoint.port) : __be16{0};
  if (family_of(endpoint.address) == TRAP_IPV4) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = port;
    v4.sin_addr.s_addr = endpoint.address.be32[3];
    bytes = sizeof(v4);
    std::memcpy(&storage, &v4, sizeof(v4));
  } else {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = port;
    std::memcpy(&v6.sin6_addr, endpoint.address.bytes, sizeof(v6.sin6_addr));
    bytes = sizeof(v6);
    std::memcpy(&storage, &v6, sizeof(v6));
  }
}

Endpoint endpoint_of(const sockaddr_storage& storage) {
  Endpoint endpoint;
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    endpoint.address = trap_address_v4(v4.sin_addr.s_addr);
    endpoint.port = TRAP_FROM_BE16(v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    std::memcpy(endpoint.address.bytes, &v6.sin6_addr, sizeof(endpoint.address.bytes));
    endpoint.port = TRAP_FROM_BE16(v6.sin6_port);
  }
  return endpoint;
}

Endpoint name_of_socket(int fd) {
  sockaddr_storage storage = {};
  socklen_t bytes = sizeof(storage);
  getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &bytes);
  return endpoint_of(storage);
}

int domain_of(trap_family family) {
  return family == TRAP_IPV4 ? AF_INET : AF_INET6;
}

// Connecting a datagram socket chooses the route, and no more.
Result<trap_address> route_source(const Endpoint& to) {
  const Fd fd(socket(domain_of(family_of(to.address)), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress target(to, true);
  if (!fd || connect(fd.get(), target.get(), target.bytes) != 0)
    return Error{fmt::format("no route to {}: {}", format_endpoint(to), error_text(errno))};
  return name_of_socket(fd.get()).address;
}

} // namespace trap
