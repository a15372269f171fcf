// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/framing.h"

#include <net/if_arp.h>

namespace trap {
namespace {

// Not in libc's header, and the kernel's cannot be read beside <net/if.h>.
constexpr unsigned short arphrd_ip6gre = 823, arphrd_void = 0xffff;

} // namespace

// As the kernel has it (dev_is_mac_header_xmit): these deliver IP packets as they are.
std::optional<Framing> framing_of(unsigned short type) {
  switch (type) {
  case ARPHRD_ETHER:
  case ARPHRD_LOOPBACK:
    return Framing::ethernet;
  case ARPHRD_TUNNEL:
  case ARPHRD_TUNNEL6:
  case ARPHRD_SIT:
  case ARPHRD_IPGRE:
  case arphrd_ip6gre:
  case arphrd_void:
  case ARPHRD_NONE:
  case ARPHRD_PPP:
  case ARPHRD_RAWIP:
    return Framing::ip;
  default:
    return std::nullopt;
  }
}

const char* framing_name(Framing framing) {
  return framing == Framing::ethernet ? "ethernet" : "ip";
}

} // namespace trap
