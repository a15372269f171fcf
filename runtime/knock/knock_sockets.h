// SPDX-License-Identifier: Apache-2.0
// The sockets of a knock. A reserved port is its source; a raw socket sends, and gets the segments
// that reach the stack; a KnockWire sees the segments on the wire.
#pragma once

#include <chrono>

#include "runtime/fd.h"
#include "runtime/knock/knock_talk.h"
#include "runtime/knock/knock_wire.h"
#include "runtime/net/reserved_port.h"

namespace trap {

class KnockSockets {
public:
  // Sockets towards the service, from the address that the route has.
  static Result<KnockSockets> make(const Endpoint& service, const OpenKnockWire& open_wire);

  const Endpoint& local() const { return local_; }
  Result<void> send(const KnockTalk::Sending& sending);

  struct Arrival {
    HandshakeSegment segment;
    bool on_wire = false; // seen on the wire, else given to the stack
    bool outgoing = false;
    std::int64_t at_ns = 0; // Unix time, of what is on the wire
  };

  // The segments that came within the time, those on the wire first. Empty after a timeout.
  Result<std::vector<Arrival>> wait(std::chrono::nanoseconds timeout);

private:
  Result<void> open(const Endpoint& service, const OpenKnockWire& open_wire);
  Result<void> drain_stack(std::vector<Arrival>& arrivals);

  trap_family family_ = TRAP_IPV4;
  Endpoint local_;
  ReservedPort port_;
  Fd raw_;
  std::unique_ptr<KnockWire> wire_;
};

} // namespace trap
