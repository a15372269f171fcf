// SPDX-License-Identifier: Apache-2.0
// Packets as one line of text: "tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN mss=1460 ticket=...".
// trapctl(1) has the grammar.
#pragma once

#include <string>

#include "runtime/packet/segment.h"
#include "runtime/result.h"

namespace trap {

using Frame = Bytes;

// Where the frame of a line goes: to whoever reads it.
constexpr MacAddress described_destination = {0x02, 0, 0, 0, 0, 0x02}; // locally administered

// The Ethernet frame that a line describes, with right lengths and checksums. Errors name the word
// and have ExitCode::usage.
Result<Frame> parse_packet(const std::string& text);

// One line for a frame. For a TCP segment that parse_packet can make, the line makes it again,
// except for its MAC addresses.
std::string format_packet(const Frame& frame);

} // namespace trap
