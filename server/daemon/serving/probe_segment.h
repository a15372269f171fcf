// SPDX-License-Identifier: Apache-2.0
// The SYN that probes a listener, and what the listener's answer says.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/packet/handshake.h"

namespace trap::server {

struct ListenerAnswer {
  bool answers = false;
  bool refuses = false;     // by a RST: nothing listens
  bool elsewhere = false;   // its address is not on this host
  std::uint16_t mss = 0;    // loopback's, not that of the way to clients
  std::uint16_t window = 0; // of the SYN-ACK, unscaled
  int window_scale = -1;    // -1: none
  bool sack = false;
  bool timestamps = false;
  int hop_limit = -1; // of the packet; -1: not known
  int traffic_class = -1;

  bool operator==(const ListenerAnswer&) const = default;
};

// A SYN from the listener's own address.
struct ProbeSyn {
  std::uint16_t source_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t timestamp = 0;
};

// The TCP header, with the options and the window that Linux sends, and its checksum.
std::vector<std::uint8_t> build_probe(const Endpoint& listener, const ProbeSyn& syn);

enum class ProbeReply { none, syn_ack, reset }; // none: a segment that is no answer to the probe

// `segment` is one that the reader of handshakes understood, or none. `answer` changes unless the
// reply is none.
ProbeReply read_reply(const Endpoint& listener, const ProbeSyn& syn,
                      const std::optional<HandshakeSegment>& segment, ListenerAnswer& answer);

} // namespace trap::server
