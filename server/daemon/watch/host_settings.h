// SPDX-License-Identifier: Apache-2.0
// The settings of the host's stack that TRAP needs where the host serves clients
// (docs/adr/0011-the-kernels-cookie.md), and the MTU that clients are told.
#pragma once

#include <string>
#include <vector>

namespace trap::server {

// Values of net.ipv4.*, which are those of IPv6 too; -1: cannot be read.
struct HostSettings {
  int tcp_syncookies = -1;
  int tcp_timestamps = -1;
  int tcp_sack = -1;
  int tcp_window_scaling = -1;
  int tcp_ecn = -1;

  bool operator==(const HostSettings&) const = default;
};

// Of the network namespace of this process.
HostSettings read_host_settings();

// One line for each setting that makes served connections slow or impossible: its value, the
// consequence, and the command that corrects it. SACK and window scaling that the administrator
// switched off are no problem: clients are not offered them. `assigns`: sockets are made of TRAP's
// own cookies, which needs less of the host.
std::vector<std::string> problems_of(const HostSettings& settings, bool assigns);

// Hop limits that the stack gives its packets, unless a socket or a route says otherwise; -1:
// cannot be read.
struct HopLimits {
  int ipv4 = -1, ipv6 = -1;
  int loopback_ipv6 = -1; // of answers over loopback
};

// IPv6's are those of the first interface.
HopLimits read_hop_limits(const std::vector<std::string>& interfaces);

// The smallest MTU of those interfaces that exist; Ethernet's if none does.
unsigned smallest_mtu(const std::vector<std::string>& interfaces);

} // namespace trap::server
