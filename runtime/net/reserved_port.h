// SPDX-License-Identifier: Apache-2.0
// A TCP port of this host for handshakes that user space performs: a listener whose filter lets
// nothing through holds it. The stack finds it for every answer, drops the answer, and sends no
// reset (docs/adr/0023-knocking.md).
#pragma once

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap {

class ReservedPort {
public:
  ReservedPort() = default;

  // A port that the kernel chooses, at an address of this host.
  static Result<ReservedPort> make(const trap_address& local);

  const Endpoint& local() const { return local_; }

private:
  Fd listener_;
  Endpoint local_;
};

} // namespace trap
