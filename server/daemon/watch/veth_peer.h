// SPDX-License-Identifier: Apache-2.0
// The other end of a veth, in whichever namespace it is: frames that XDP answers by a veth are
// delivered only where that end runs an XDP program too (veth_xdp_flush in the kernel's veth.c;
// GRO there does not do).
#pragma once

#include <string>

namespace trap::server {

enum class VethPeer {
  none,    // the interface is no veth
  ready,   // its other end runs an XDP program
  bare,    // it runs none
  unknown, // this process may not look there
};

VethPeer look_at_veth_peer(const std::string& interface);

} // namespace trap::server
