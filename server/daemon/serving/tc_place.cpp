// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/tc_place.h"

#include <algorithm>

#include <net/if.h>

#include "runtime/net/host_interfaces.h"

namespace trap::server {

TcPlace tc_place_of(const std::string& interface) {
  const TcPlace itself = {interface, if_nametoindex(interface.c_str())};
  const auto all = list_interfaces();
  if (!all || itself.index == 0)
    return itself;
  const auto port = std::ranges::find(*all, itself.index, &HostInterface::index);
  if (port == all->end() || port->slave_of != "bridge")
    return itself;
  const auto bridge = std::ranges::find(*all, port->master, &HostInterface::index);
  return bridge == all->end() ? itself : TcPlace{bridge->name, bridge->index};
}

} // namespace trap::server
