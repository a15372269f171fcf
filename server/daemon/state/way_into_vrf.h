// SPDX-License-Identifier: Apache-2.0
// The VRFs into which packets of the daemon's interfaces go, by the devices that lie upon them: a
// VLAN of the interface, its bridge or bond, a macvlan. BPF programs find no connections there.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "runtime/net/host_interfaces.h"

namespace trap::server {

// "eth0" if one of `attached` is in a VRF itself, "vlan7 (upon eth0)" if a device upon it is, and
// the service's address is in that VRF too, as far as one of `holders`, the interfaces that have
// it, says so. Empty: clients come by no VRF.
std::string find_way_into_vrf(const std::vector<HostInterface>& all,
                              const std::vector<std::string>& attached,
                              const std::vector<std::string>& holders);

} // namespace trap::server
