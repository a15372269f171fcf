// SPDX-License-Identifier: Apache-2.0
// Two hosts without a client module behind the client's host, which forwards for them:
//
//   lan-1 .2 ---[port-1]--+
//                         +-- br0 .1, the client's host, eth0 ---- router
//   lan-2 .3 ---[port-2]--+
//
// The ports are those of a bridge, as container engines make them.
#pragma once

#include <array>
#include <string>

#include "lab/hosts/host.h"
#include "lab/network/topology.h"
#include "runtime/result.h"

namespace trap::lab {

// Prefixes of the LAN, without their last part: "10.77.0." and "fd77::".
struct LanAddresses {
  std::string ipv4, ipv6;
  [[nodiscard]] std::string of(Family family, int host) const {
    return (family == Family::ipv4 ? ipv4 : ipv6) + std::to_string(host);
  }
};

// Of a LAN that no host outside can reach.
inline const LanAddresses private_lan{"10.77.0.", "fd77::"};

enum class LanKind {
  routed,  // the client's host has an address in the LAN and forwards
  bridged, // eth0 is a port of br0, and the LAN's hosts are neighbours of the client's host
};

class Lan {
public:
  // The hosts, connected. Routes and translation are the caller's. They go with the lab.
  static Result<Lan> build(const Topology& topology, const LanAddresses& addresses, LanKind uplink);

  [[nodiscard]] const Host& host(int number) const {
    return hosts_.at(static_cast<std::size_t>(number - 1));
  }
  [[nodiscard]] std::string address(Family family, int number) const {
    return addresses_.of(family, number + 1);
  }

private:
  Lan(std::array<Host, 2> hosts, LanAddresses addresses)
      : hosts_(std::move(hosts)), addresses_(std::move(addresses)) {}
  std::array<Host, 2> hosts_;
  LanAddresses addresses_;
};

// As routers and container engines do: forwards what the LAN begins, and drops what connection
// tracking holds invalid. Counts in table lab.
Result<void> filter(const Host& gateway);

// As Docker writes them, with iptables for both families: what br0's hosts begin is forwarded and
// translated, nothing else.
Result<void> enforce_container_rules(const Host& gateway, const LanAddresses& addresses);

// Translates what leaves by eth0 to its address. After filter().
Result<void> masquerade(const Host& gateway);

} // namespace trap::lab
