// SPDX-License-Identifier: Apache-2.0
// The networks that this host is in: the prefixes of its links, and the identity of what is beyond
// each interface.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/config/prefix.h"
#include "runtime/net/host_routing.h"
#include "runtime/result.h"

namespace trap {

// A prefix whose hosts are reached without a router, or an address of this host's own.
struct LinkPrefix {
  Prefix prefix;
  unsigned interface = 0; // its index

  bool operator==(const LinkPrefix&) const = default;
};

using LinkAddress = std::array<std::uint8_t, 6>; // of Ethernet

// The router of a default route, and its link-layer address if the kernel knows it now.
struct Gateway {
  trap_address address = {};
  std::optional<LinkAddress> mac;
};

// By what an interface's network is known.
struct InterfaceNetwork {
  std::uint32_t carrier_changes = 0; // since the interface is there
  std::vector<trap_address> addresses;
  std::vector<Gateway> gateways;
};

struct HostNetworks {
  std::vector<LinkPrefix> links; // without fe80::/10 and loopback; a prefix is there once
  std::map<unsigned, InterfaceNetwork> interfaces; // by index
  std::shared_ptr<const HostRouting> routing;      // null: it cannot be listed
};

// `most_routes`: with more, their routing is not told.
Result<HostNetworks> read_host_networks(std::size_t most_routes);

// The kernel's link-layer address of a neighbour, without asking the network.
std::optional<LinkAddress> find_neighbour(unsigned interface, const trap_address& address);

} // namespace trap
