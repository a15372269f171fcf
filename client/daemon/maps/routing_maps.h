// SPDX-License-Identifier: Apache-2.0
// This host's rules and routes in the maps of trap-client's programs.
#pragma once

#include "client/maps.h"
#include "runtime/kernel/map_store.h"
#include "runtime/net/host_routing.h"

namespace trap::client {

struct RoutingFds {
  int rules = -1;
  int routes = -1;
};

// Can the programs follow it? Not if there is none, or more of it than they have room for.
bool is_followed(const HostRouting* routing);

// Packets see the old or the new rules and routes, or, if they are not followed, none; then
// redirects are followed by the way of the public address.
Result<void> write_routing(const RoutingFds& fds, trap_client_settings& settings,
                           const HostRouting* routing, MapStore& store = kernel_maps());

} // namespace trap::client
