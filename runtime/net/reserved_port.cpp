// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/reserved_port.h"

#include <cerrno>
#include <linux/filter.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include "runtime/net/socket_address.h"

namespace trap {
namespace {

bool drop_everything(int fd) {
  sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program = {.len = 1, .filter = nothing};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

} // namespace

Result<ReservedPort> ReservedPort::make(const trap_address& local) {
  ReservedPort port;
  const SocketAddress here({local, 0}, false);
  port.listener_ = Fd(socket(domain_of(family_of(local)), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int fd = port.listener_.get();
  if (fd < 0 || !drop_everything(fd) || bind(fd, here.get(), here.bytes) != 0 || listen(fd, 1) != 0)
    return Error{fmt::format("cannot hold a port of {}: {}{}", format_address(local),
                             error_text(errno),
                             errno == EPERM || errno == EACCES ? ": run as root" : "")};
  port.local_ = name_of_socket(fd);
  return port;
}

} // namespace trap
