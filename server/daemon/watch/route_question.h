// SPDX-License-Identifier: Apache-2.0
// A question to the kernel about the route that its own answer to a client would take.
#pragma once

#include <cstdint>
#include <functional>

#include <linux/rtnetlink.h>

#include "protocol/address.h"

namespace trap::server {

// The socket that answers: rules may choose its routes by its address and its mark (SO_MARK).
struct RouteSource {
  trap_address address = {}; // a family's unspecified one: any
  std::uint32_t mark = 0;

  bool operator==(const RouteSource& other) const {
    return mark == other.mark && trap_address_equal(&address, &other.address);
  }
};

struct RouteQuestion {
  trap_address to = {};
  RouteSource source = {}; // of the same family
  unsigned interface = 0;  // by this one only; 0: by any
  bool of_table = false;   // the entry of the routing table, instead of what follows from it
};

// Visits the message that answers; nothing if there is no route.
void ask_route(const RouteQuestion& question,
               const std::function<void(const nlmsghdr& header)>& visit);

// Are there rules besides those that every host has, so that routes depend on more than where they
// lead?
bool has_routing_rules();

} // namespace trap::server
