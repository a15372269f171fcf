// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/session.h"

#include <cstdio>

#include <unistd.h>

#include "lab/hosts/interrupt.h"

namespace trap::lab {

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
