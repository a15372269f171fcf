// SPDX-License-Identifier: Apache-2.0
// What TRAP must know of, and ask from, the stack of the host that serves clients
// (docs/adr/0011-the-kernels-cookie.md).
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

  bool operator==(const HostSettings&) const = default;
};

// Of the network namespace of this process.
HostSettings read_host_settings();

// One line for each setting that keeps served clients from being served well: what it is, what that
// means, the command that mends it. SACK and window scaling that somebody switched off are nobody's
// problem: clients are not offered them. `assigns`: sockets are made of TRAP's own cookies, which
// asks less of the host.
std::vector<std::string> problems_of(const HostSettings& settings, bool assigns);

} // namespace trap::server
