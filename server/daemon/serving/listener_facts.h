// SPDX-License-Identifier: Apache-2.0
// The facts about a listener that its answer to a SYN does not show.
#pragma once

#include <cstdint>

namespace trap::server {

struct ListenerFacts {
  bool is_multipath = false;   // an MPTCP socket, as Go's listeners are by default
  bool has_signatures = false; // TCP-MD5 or TCP-AO keys of some peers
  bool wants_near = false;     // IP_MINTTL or IPV6_MINHOPCOUNT (RFC 5082)
  std::uint32_t mark = 0;      // SO_MARK, by which rules may route its answers

  bool operator==(const ListenerFacts&) const = default;
};

} // namespace trap::server
