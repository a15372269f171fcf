// SPDX-License-Identifier: Apache-2.0
// Frames that no honest stack sends, put on a link of the lab through a packet socket.
#pragma once

#include <string_view>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/packet/segment.h"
#include "runtime/result.h"

namespace trap::lab {

// `text` is an address of the address plan, or one that is written in a scenario.
trap_address address_from(std::string_view text);

// The frame as the router sends it to the host. VLAN tags are the outermost first.
Bytes frame_to(const HostAddresses& host, const Segment& segment,
               const std::vector<VlanTag>& tags = {});
Bytes frame_to(const HostAddresses& host, const IcmpMessage& message);

// The router's end of a host's link.
class FrameSocket {
public:
  static Result<FrameSocket> open(const Host& router, std::string_view towards);
  [[nodiscard]] Result<void> send(const Bytes& frame) const;

private:
  explicit FrameSocket(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

} // namespace trap::lab
