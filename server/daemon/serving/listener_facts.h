// SPDX-License-Identifier: Apache-2.0
// The facts about a listener that its answer to a SYN does not show.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace trap::server {

struct ListenerFacts {
  bool is_multipath = false;   // an MPTCP socket, as Go's listeners are by default
  bool has_signatures = false; // TCP-MD5 or TCP-AO keys of some peers
  bool wants_near = false;     // IP_MINTTL or IPV6_MINHOPCOUNT (RFC 5082)
  std::uint32_t mark = 0;      // SO_MARK, by which rules may route its answers

  bool operator==(const ListenerFacts&) const = default;
};

// Listeners that share an address and port (SO_REUSEPORT) have a queue each: so many questions, as
// of different clients, reach most of them.
inline constexpr std::size_t queue_questions = 8;

struct QueueSight {
  bool is_full = false;                                  // each that was reached
  std::uint32_t room = 0;                                // connections that the first may hold
  std::array<std::uint32_t, queue_questions> drops = {}; // by the listener that each question found

  bool operator==(const QueueSight&) const = default;
};

} // namespace trap::server
