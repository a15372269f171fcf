// SPDX-License-Identifier: Apache-2.0
// The TCP segments of a handshake that user space performs itself: trapctl's knock, the renewal of
// redirects, the probe of a listener. One reader for what arrives, one writer for what leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "protocol/wire.h"
#include "runtime/config/endpoint.h"
#include "runtime/packet/segment.h"

namespace trap {

// What a REDIRECT says.
struct Redirection {
  Endpoint backend;
  std::uint16_t lifetime_s = 0;
  trap_ticket ticket = {};
};

// What a SYN or SYN-ACK says of its sender.
struct SynOptions {
  std::optional<std::uint16_t> mss = {};
  std::optional<std::uint8_t> window_scale = {}; // at most 14
  bool sack = false;
  bool timestamps = false;
};

// Numbers are in host byte order.
struct HandshakeSegment {
  Endpoint from;
  Endpoint to;
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  trap_option_type option = TRAP_OPTION_NONE;
  bool experimental = false; // the option's kind is 253
  bool bad_option = false;   // malformed, or more than one
  std::optional<Redirection> redirection = {};
  // Only of segments that were read.
  std::uint16_t window = 0;
  SynOptions syn_options = {};
};

// Reads a TCP segment that went from one address to the other. None if it is cut short or its
// header is defective.
std::optional<HandshakeSegment> read_segment(const trap_address& from, const trap_address& to,
                                             const std::uint8_t* segment, std::size_t bytes);

// Reads an IP packet. None if it is not a whole TCP header in one fragment.
std::optional<HandshakeSegment> read_packet(const std::uint8_t* packet, std::size_t bytes);

// The segment with the options that its part in the handshake has: a SYN has MSS, SACK and window
// scale, and `ticket` if its option is TICKET; an ACK with ACCEPT is as long as the RST that
// answers it (docs/protocol.md 11).
Segment describe(const HandshakeSegment& segment, const trap_ticket* ticket);

} // namespace trap
