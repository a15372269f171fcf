// SPDX-License-Identifier: Apache-2.0
// The MSS that default routes ask for, where the way to clients is narrower than the link, and the
// hop limit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/address.h"
#include "server/daemon/watch/route_question.h"

namespace trap::server {

// 0: the routes ask for none.
struct RouteWish {
  unsigned mss = 0, hops = 0;

  bool operator==(const RouteWish&) const = default;
};

struct RouteWishes {
  RouteWish ipv4 = {}, ipv6 = {};
};

// By `advmss`, else `mtu`, and by `hoplimit` of the default routes that lead these sources through
// these interfaces; the least of each family. Routes to some clients only are not looked at. One
// question to the kernel for each source at each interface.
RouteWishes default_route_wishes(const std::vector<std::string>& interfaces,
                                 const std::vector<RouteSource>& sources);

// The next hop of the default route that leads a source through an interface.
std::optional<trap_address> default_gateway(unsigned interface, const RouteSource& source);

} // namespace trap::server
