// SPDX-License-Identifier: Apache-2.0
// The TCP segments of a handshake with a service that user space performs: bytes in, bytes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/wire.h"
#include "runtime/config/endpoint.h"

namespace trap {

// What a REDIRECT says.
struct Redirection {
  Endpoint backend;
  std::uint16_t lifetime_s = 0;
  trap_ticket ticket = {};
};

struct KnockSegment {
  Endpoint from;
  Endpoint to;
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  trap_option_type option = TRAP_OPTION_NONE;
  bool experimental = false; // the option's kind is 253
  bool bad_option = false;   // malformed, or several
  std::optional<Redirection> redirection = {};
};

// Reads a TCP segment that went from one address to another. None if it is cut short.
std::optional<KnockSegment> read_segment(const trap_address& from, const trap_address& to,
                                         const std::uint8_t* segment, std::size_t bytes);

// The segment's bytes with its checksum: a SYN has MSS, SACK and window scale, and with `ticket`
// the TICKET option; an ACK with ACCEPT is as long as the RST that answers it.
std::vector<std::uint8_t> write_segment(const KnockSegment& segment, const trap_ticket* ticket);

} // namespace trap
