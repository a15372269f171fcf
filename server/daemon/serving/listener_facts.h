// SPDX-License-Identifier: Apache-2.0
// The facts about a listener that its answer to a SYN does not show.
#pragma once

namespace trap::server {

struct ListenerFacts {
  bool is_multipath = false;   // an MPTCP socket, as Go's listeners are by default
  bool has_signatures = false; // TCP-MD5 or TCP-AO keys of some peers

  bool operator==(const ListenerFacts&) const = default;
};

} // namespace trap::server
