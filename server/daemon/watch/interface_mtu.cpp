// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/interface_mtu.h"

#include <algorithm>
#include <cstring>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "runtime/fd.h"

namespace trap::server {
namespace {

constexpr unsigned kEthernetMtu = 1500;

} // namespace

unsigned smallest_mtu(const std::vector<std::string>& interfaces) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  unsigned smallest = 0;
  for (const std::string& name : interfaces) {
    ifreq request = {};
    std::strncpy(request.ifr_name, name.c_str(), sizeof(request.ifr_name) - 1);
    if (ioctl(any.get(), SIOCGIFMTU, &request) != 0 || request.ifr_mtu <= 0)
      continue;
    const auto mtu = static_cast<unsigned>(request.ifr_mtu);
    smallest = smallest == 0 ? mtu : std::min(smallest, mtu);
  }
  return smallest == 0 ? kEthernetMtu : smallest;
}

} // namespace trap::server
