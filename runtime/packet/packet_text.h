// SPDX-License-Identifier: Apache-2.0
// Packets as people write them: "tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN mss=1460 ticket=...".
// trapctl(1) has the grammar.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/result.h"

namespace trap {

using Frame = std::vector<std::uint8_t>;

// The Ethernet frame that a line means, lengths and checksums right. Errors name the word, and have
// ExitCode::usage.
Result<Frame> parse_packet(const std::string& text);

// One line for a frame. A TCP segment that parse_packet can make comes out as a line that makes it
// again, but for its MAC addresses.
std::string format_packet(const Frame& frame);

// Lower-case hexadecimal, two digits a byte.
std::string format_hex(const std::uint8_t* bytes, std::size_t count);

} // namespace trap
