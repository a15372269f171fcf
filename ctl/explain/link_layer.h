// SPDX-License-Identifier: Apache-2.0
// The header that stands before the IP packets of a capture (tcpdump.org/linktypes.html), replaced
// by that of Ethernet, which TRAP's programs read.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/packet/packet_text.h"

namespace trap::ctl {

// Nothing for a link layer that is not known here. A packet of no known protocol has type 0.
std::optional<Frame> in_ethernet(std::uint16_t link_type, const Bytes& packet);

} // namespace trap::ctl
