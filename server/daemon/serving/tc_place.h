// SPDX-License-Identifier: Apache-2.0
// The place of programs at tc for an interface of the configuration.
#pragma once

#include <string>

namespace trap::server {

struct TcPlace {
  std::string interface;
  unsigned index = 0; // 0: it is not there
};

// A bridge takes from a packet the socket that a tc program of its port gave it. So programs go on
// the bridge, from which the packet comes up a second time.
TcPlace tc_place_of(const std::string& interface);

} // namespace trap::server
