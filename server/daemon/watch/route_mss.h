// SPDX-License-Identifier: Apache-2.0
// The MSS that the default route asks for, where it is less than the interface's MTU allows: the
// way to clients is narrower than the link.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/address.h"

namespace trap::server {

// 0: the routes ask for none.
struct RouteMss {
  unsigned ipv4 = 0, ipv6 = 0;
};

// `hoplimit` of the same routes; 0: they ask for none.
struct RouteHops {
  unsigned ipv4 = 0, ipv6 = 0;
};

RouteHops default_route_hops(const std::vector<std::string>& interfaces);

// By `advmss`, else `mtu`, of the default routes through these interfaces; the least of them.
// Routes to some clients only are not looked at. Two questions to the kernel for each interface.
RouteMss default_route_mss(const std::vector<std::string>& interfaces);

// The next hop of the default route through an interface.
std::optional<trap_address> default_gateway(unsigned interface, trap_family family);

} // namespace trap::server
