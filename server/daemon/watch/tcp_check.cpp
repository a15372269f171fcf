// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/tcp_check.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

namespace trap::server {
namespace {

// Returns the length.
socklen_t socket_address_of(const Endpoint& endpoint, sockaddr_storage& storage) {
  storage = {};
  if (family_of(endpoint.address) == TRAP_IPV4) {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = TRAP_BE16(endpoint.port);
    address.sin_addr.s_addr = endpoint.address.be32[3];
    return sizeof(address);
  }
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  address.sin6_port = TRAP_BE16(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.address.bytes, sizeof(address.sin6_addr));
  return sizeof(address);
}

} // namespace

int begin_connect(Fd& connection, const std::optional<trap_address>& source, const Endpoint& to) {
  const int family = family_of(to.address) == TRAP_IPV4 ? AF_INET : AF_INET6;
  connection = Fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection)
    return errno;
  sockaddr_storage address;
  if (source) {
    // The port is the kernel's to choose when it connects: it need be free towards `to` only.
    const int late = 1;
    setsockopt(connection.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late));
    const socklen_t length = socket_address_of({*source, 0}, address);
    if (bind(connection.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
      return errno;
  }
  const socklen_t length = socket_address_of(to, address);
  const int failed = connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), length);
  return failed == 0 ? 0 : errno;
}

std::optional<trap_address> local_address(const Fd& connection) {
  sockaddr_storage own = {};
  socklen_t bytes = sizeof(own);
  if (getsockname(connection.get(), reinterpret_cast<sockaddr*>(&own), &bytes) != 0)
    return std::nullopt;
  if (own.ss_family == AF_INET)
    return trap_address_v4(reinterpret_cast<const sockaddr_in&>(own).sin_addr.s_addr);
  trap_address address = {};
  std::memcpy(address.bytes, &reinterpret_cast<const sockaddr_in6&>(own).sin6_addr,
              sizeof(address.bytes));
  return address;
}

int pending_error(const Fd& connection) {
  int error_number = 0;
  socklen_t bytes = sizeof(error_number);
  return getsockopt(connection.get(), SOL_SOCKET, SO_ERROR, &error_number, &bytes) == 0
             ? error_number
             : errno;
}

bool is_own_failure(int error_number) {
  switch (error_number) {
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM:
  case EADDRNOTAVAIL:
  case EACCES:
  case EPERM:
  case EAFNOSUPPORT:
    return true;
  default:
    return false;
  }
}

} // namespace trap::server
