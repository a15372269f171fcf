// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/lock.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>

namespace trap::lab {

Result<Fd> lock_lab() {
  constexpr std::string_view name{"\0trap-lab", 9};
  Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) == 0)
    return socket;
  if (errno == EADDRINUSE)
    return Error{"another trap-lab is running on this machine: wait for it, or end it"};
  return Error{"cannot take the lab's lock: " + error_text(errno)};
}

} // namespace trap::lab
