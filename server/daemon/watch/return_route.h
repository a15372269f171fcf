// SPDX-License-Identifier: Apache-2.0
// The way on which this host's own stack would answer one client.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/address.h"
#include "runtime/net/host_networks.h"
#include "server/daemon/watch/route_question.h"

namespace trap::server {

struct ReturnRoute {
  unsigned interface = 0;         // index
  trap_address next_hop = {};     // the client itself where it is a neighbour
  std::optional<LinkAddress> mac; // of the next hop, if the kernel knows it now
  unsigned mss = 0, hops = 0;     // that the route asks for; 0: nothing
  unsigned window = 0;            // `window` or `initrwnd`, whichever is there
  bool is_default = false;        // by the next hop of a default route
};

// How a client's frame came.
struct FrameWay {
  unsigned interface = 0; // index
  LinkAddress from = {};
};

// `source`: the service's address, and its listener's mark. Of several next hops of one route the
// stack takes one by its hash of the connection; so if the frame came from any of them, that one is
// the route's. Four questions to the kernel, and one for each next hop; nothing if it has no route.
std::optional<ReturnRoute> find_return_route(const trap_address& client, const RouteSource& source,
                                             const FrameWay& came);

} // namespace trap::server
