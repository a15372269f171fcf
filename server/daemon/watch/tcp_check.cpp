// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/tcp_check.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include "runtime/net/socket_address.h"

namespace trap::server {

int begin_connect(Fd& connection, const std::optional<trap_address>& source, const Endpoint& to) {
  connection =
      Fd(socket(domain_of(family_of(to.address)), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection)
    return errno;
  if (source) {
    // The port is the kernel's to choose when it connects: it need be free towards `to` only.
    const int late = 1;
    setsockopt(connection.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late));
    const SocketAddress here({*source, 0}, false);
    if (bind(connection.get(), here.get(), here.bytes) != 0)
      return errno;
  }
  const SocketAddress there(to, true);
  return connect(connection.get(), there.get(), there.bytes) == 0 ? 0 : errno;
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
