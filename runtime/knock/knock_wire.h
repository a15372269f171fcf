// SPDX-License-Identifier: Apache-2.0
// The port of a knock as it is seen on the wire: incoming segments before a client module, outgoing
// ones after it. trapctl sees it by a packet socket, for which it needs CAP_NET_RAW alone; a daemon
// by a program in the kernel, so that its unit can deny packet sockets (docs/adr/0047).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/packet/handshake.h"
#include "runtime/result.h"

namespace trap {

class KnockWire {
public:
  struct Sighting {
    HandshakeSegment segment;
    bool outgoing = false;
    std::int64_t at_ns = 0; // Unix time
  };

  virtual ~KnockWire() = default;
  virtual int event_fd() const = 0; // readable while take() would return something
  virtual std::vector<Sighting> take() = 0;
};

// Sees the port, in host order, before it returns.
using OpenKnockWire =
    std::function<Result<std::unique_ptr<KnockWire>>(trap_family family, std::uint16_t port)>;

Result<std::unique_ptr<KnockWire>> open_packet_wire(trap_family family, std::uint16_t port);
Result<std::unique_ptr<KnockWire>> open_traced_wire(trap_family family, std::uint16_t port);

} // namespace trap
