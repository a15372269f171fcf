// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/test_path.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "runtime/fd.h"
#include "runtime/net/host_interfaces.h"
#include "runtime/net/socket_address.h"
#include "server/daemon/watch/default_route.h"

namespace trap::server {
namespace {

// Of no host: a bridge may learn it.
constexpr MacAddress neighbour_mac = {0x02, 0x54, 0x52, 0x41, 0x50, 0x01};

using Addresses = std::unique_ptr<ifaddrs, decltype(&freeifaddrs)>;

Addresses list_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0)
    list = nullptr;
  return {list, freeifaddrs};
}

std::optional<trap_address> address_of(const sockaddr* name) {
  if (!name || (name->sa_family != AF_INET && name->sa_family != AF_INET6))
    return std::nullopt;
  sockaddr_storage storage = {};
  std::memcpy(&storage, name,
              name->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return endpoint_of(storage).address;
}

std::string holder_of(const ifaddrs* list, const trap_address& wanted) {
  for (const ifaddrs* at = list; at; at = at->ifa_next) {
    const auto address = address_of(at->ifa_addr);
    if (address && trap_address_equal(&*address, &wanted))
      return at->ifa_name;
  }
  return "";
}

const HostInterface* find(const std::vector<HostInterface>& all, const std::string& name) {
  const auto at = std::ranges::find(all, name, &HostInterface::name);
  return at == all.end() ? nullptr : &*at;
}

// The interface whose stack gets the packets that enter at `entry`; null if that takes a tag.
const HostInterface* find_stack_side(const std::vector<HostInterface>& all,
                                     const HostInterface& entry, const std::string& holder) {
  const HostInterface* held = find(all, holder);
  if (entry.master != 0) {
    const auto master = std::ranges::find(all, entry.master, &HostInterface::index);
    if (master != all.end() && master->kind != "vrf")
      return &*master;
  }
  if (!held || held == &entry || held->is_loopback)
    return &entry;
  if (held->kind == "vlan")
    return nullptr;
  return held->kind == "macvlan" ? held : &entry;
}

std::optional<MacAddress> mac_of(const std::string& interface) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  MacAddress mac;
  if (ioctl(any.get(), SIOCGIFHWADDR, &request) != 0)
    return std::nullopt;
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

bool is_link_local(const trap_address& address) {
  return family_of(address) == TRAP_IPV6 && address.bytes[0] == 0xfe &&
         (address.bytes[1] & 0xc0) == 0x80;
}

// Another host's address in the network of `own`; none if the network has no room.
std::optional<trap_address> neighbour_of(const trap_address& own, const trap_address& mask) {
  const std::uint8_t host_bits = static_cast<std::uint8_t>(~mask.bytes[15]);
  for (std::uint8_t flip = 1; flip < 4; flip++) {
    trap_address other = own;
    other.bytes[15] ^= flip;
    const std::uint8_t host = other.bytes[15] & host_bits;
    if ((flip & host_bits) == flip && host != 0 && host != host_bits)
      return other;
  }
  return std::nullopt;
}

std::optional<trap_address> find_client(const ifaddrs* list, const HostInterface& side,
                                        const trap_address& service) {
  const trap_family family = family_of(service);
  if (const auto gateway = default_gateway(side.index, {service, 0});
      gateway && !is_link_local(*gateway))
    return gateway;
  for (const ifaddrs* at = list; at; at = at->ifa_next) {
    const auto own = side.name == at->ifa_name ? address_of(at->ifa_addr) : std::nullopt;
    const auto mask = address_of(at->ifa_netmask);
    if (!own || !mask || family_of(*own) != family || is_link_local(*own))
      continue;
    if (const auto neighbour = neighbour_of(*own, *mask))
      return neighbour;
  }
  return std::nullopt;
}

} // namespace

std::optional<TestPath> find_test_path(const std::string& interface, const trap_address& service) {
  const auto interfaces = list_interfaces();
  const Addresses addresses = list_addresses();
  const HostInterface* entry = interfaces ? find(*interfaces, interface) : nullptr;
  const HostInterface* side =
      entry ? find_stack_side(*interfaces, *entry, holder_of(addresses.get(), service)) : nullptr;
  if (!side)
    return std::nullopt;
  const auto mac = mac_of(side->name);
  const auto client = find_client(addresses.get(), *side, service);
  if (!mac || !client)
    return std::nullopt;
  return TestPath{entry->index, {.destination = *mac, .source = neighbour_mac}, *client};
}

} // namespace trap::server
