// SPDX-License-Identifier: Apache-2.0
// Counts the TCP resets that arrive at a lab host: at its interface, before its stack or a client
// module sees them, or at its stack.
#pragma once

#include <cstdint>
#include <string>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

class ResetWatch {
public:
  static Result<ResetWatch> start(const Host& host);

  // Counts only resets that its stack gets: those that a client module took are not among them.
  static Result<ResetWatch> start_at_stack(const Host& host);

  // Resets since the start, or since the last call.
  std::uint64_t count();

private:
  explicit ResetWatch(Fd socket, Fd second = {})
      : socket_(std::move(socket)), second_(std::move(second)) {}
  Fd socket_, second_;
};

} // namespace trap::lab
