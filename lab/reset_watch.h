// SPDX-License-Identifier: Apache-2.0
// Counts the TCP resets that arrive at a lab host, at its interface, before its stack or a client module sees them.
#ifndef TRAP_LAB_RESET_WATCH_H
#define TRAP_LAB_RESET_WATCH_H

#include <cstdint>
#include <string>

#include "lab/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

class ResetWatch {
public:
  static Result<ResetWatch> start(const Host& host);

  // Resets since the start, or since the last call.
  std::uint64_t count();

private:
  explicit ResetWatch(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

} // namespace trap::lab

#endif
