// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/session.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/hosts/host.h"
#include "lab/hosts/interrupt.h"
#include "lab/hosts/process.h"

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

Result<Session> Session::begin() {
  if (geteuid() != 0)
    return Error{"a lab needs root: it makes network namespaces and loads BPF programs"};
  auto lock = lock_lab();
  if (!lock)
    return lock.error();
  watch_for_interrupts();
  remove_all_hosts();
  return Session{std::move(*lock)};
}

void wait_for_interrupt() {
  while (sleep_for(std::chrono::hours{1})) {
  }
}

int complain(const Error& error) {
  std::fprintf(stderr, "trap-lab: %s\n", error.message.c_str());
  return interrupted() ? 130 : static_cast<int>(error.exit_code);
}

} // namespace trap::lab
