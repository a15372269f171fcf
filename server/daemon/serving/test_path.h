// SPDX-License-Identifier: Apache-2.0
// The way on which a handshake of the daemon's own comes into this host: as one of a neighbour's,
// whose answers would go back to where the packets seem to come from.
#pragma once

#include <optional>
#include <string>

#include "runtime/packet/segment.h"

namespace trap::server {

struct TestPath {
  unsigned interface = 0; // index: where packets enter
  Ethernet ethernet = {};
  trap_address client = {};
};

// Nothing if no neighbour of the address's family can be told on that interface, or frames there
// need a VLAN tag.
std::optional<TestPath> find_test_path(const std::string& interface, const trap_address& service);

} // namespace trap::server
