// SPDX-License-Identifier: Apache-2.0
// Uplinks of the client's host to the router other than eth0.
#pragma once

#include <string>
#include <string_view>

#include "lab/scenarios/scene.h"

namespace trap::lab {

// The client's host has other addresses there.
struct Uplink {
  std::string_view near, far; // interfaces: of the client's host, of the router
  std::string_view ipv4, ipv4_gateway, ipv6, ipv6_gateway;
};

// Ethernet between the two, without addresses.
bool plug(Scene& scene, std::string_view near, std::string_view far);
void unplug(Scene& scene, std::string_view near);

// Gives both ends of an uplink their addresses and moves all traffic of the client's host to it,
// or back to eth0.
void take_uplink(Scene& scene, const Uplink& uplink);
void take_eth0(Scene& scene);

// trap-client looks at routes once a second, and forgets redirects if they are others.
void let_routes_be_seen();

// Has trap-client its filters there?
bool is_attached(Scene& scene, std::string_view interface);

// From another address the client is another one to TRAP: its first connection is led there unseen,
// the second goes straight.
void expect_service(Scene& scene, Family family, const std::string& what);

} // namespace trap::lab
