// SPDX-License-Identifier: Apache-2.0
// A lab from lock to clean machine: what every subcommand that needs one begins with.
#pragma once

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

// One lab at a time in a network namespace: an abstract socket, which the kernel drops with its
// owner, however that ends. An error if another lab has it.
Result<Fd> lock_lab();

// Checks for root, takes the lock, watches for interrupts, and removes the remains of a killed
// lab.
class Session {
public:
  static Result<Session> begin();

private:
  explicit Session(Fd lock) : lock_(std::move(lock)) {}
  Fd lock_;
};

// Waits for SIGINT, SIGTERM or SIGHUP.
void wait_for_interrupt();

// "trap-lab: message" on stderr; returns the error's exit code, or 130 after an interrupt.
int complain(const Error& error);

} // namespace trap::lab
