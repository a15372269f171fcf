// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/host_networks.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <sys/socket.h>

#include "runtime/net/netlink_dump.h"

namespace trap {
namespace {

constexpr int read_attempts = 5; // at a list during which nothing changes
constexpr unsigned ipv4_bits = 32, mapped_bits = 96;

std::optional<trap_address> address_in(const rtattr& attribute, unsigned char family) {
  const void* data = RTA_DATA(const_cast<rtattr*>(&attribute));
  if (family == AF_INET && RTA_PAYLOAD(&attribute) == 4) {
    __be32 ipv4;
    std::memcpy(&ipv4, data, sizeof(ipv4));
    return trap_address_v4(ipv4);
  }
  trap_address ipv6;
  if (family != AF_INET6 || RTA_PAYLOAD(&attribute) != sizeof(ipv6))
    return std::nullopt;
  std::memcpy(&ipv6, data, sizeof(ipv6));
  return ipv6;
}

Prefix prefix_of(const trap_address& address, unsigned char family, unsigned bits) {
  const unsigned of_all = family == AF_INET ? bits + mapped_bits : bits;
  return {trap_address_mask(address, TRAP_IPV6, of_all), of_all};
}

void add(std::vector<LinkPrefix>& links, const LinkPrefix& link) {
  const trap_family family = family_of(link.prefix.address);
  if (trap_address_is_forbidden(&link.prefix.address, family) ||
      std::ranges::find(links, link.prefix, &LinkPrefix::prefix) != links.end())
    return;
  links.push_back(link);
}

void add_interface(HostNetworks& networks, const nlmsghdr& header) {
  ifinfomsg info;
  if (header.nlmsg_type != RTM_NEWLINK || header.nlmsg_len < NLMSG_LENGTH(sizeof(info)))
    return;
  std::memcpy(&info, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(info));
  InterfaceNetwork& network = networks.interfaces[static_cast<unsigned>(info.ifi_index)];
  visit_attributes_of<ifinfomsg>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == IFLA_CARRIER_CHANGES &&
        RTA_PAYLOAD(&attribute) == sizeof(network.carrier_changes))
      std::memcpy(&network.carrier_changes, RTA_DATA(const_cast<rtattr*>(&attribute)),
                  sizeof(network.carrier_changes));
  });
}

// The prefix is the peer's where there is one; the host's own address is on the link in any case.
void add_address(HostNetworks& networks, const nlmsghdr& header) {
  ifaddrmsg info;
  if (header.nlmsg_type != RTM_NEWADDR || header.nlmsg_len < NLMSG_LENGTH(sizeof(info)))
    return;
  std::memcpy(&info, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(info));
  std::optional<trap_address> own, peer;
  visit_attributes_of<ifaddrmsg>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == IFA_ADDRESS)
      peer = address_in(attribute, info.ifa_family);
    if (attribute.rta_type == IFA_LOCAL)
      own = address_in(attribute, info.ifa_family);
  });
  own = own ? own : peer;
  if (!own)
    return;
  const unsigned whole = info.ifa_family == AF_INET ? ipv4_bits : 128;
  add(networks.links,
      {prefix_of(peer.value_or(*own), info.ifa_family, info.ifa_prefixlen), info.ifa_index});
  add(networks.links, {prefix_of(*own, info.ifa_family, whole), info.ifa_index});
  networks.interfaces[info.ifa_index].addresses.push_back(*own);
}

// A default route has the gateway of its interface, if any. Another route without gateway is a
// prefix that a router announces as on the link, or an administrator says so of.
void add_route(HostNetworks& networks, const nlmsghdr& header) {
  rtmsg info;
  std::optional<trap_address> to, gateway;
  unsigned interface = 0;
  bool is_direct = true;
  if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len < NLMSG_LENGTH(sizeof(info)))
    return;
  std::memcpy(&info, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(info));
  if (info.rtm_type != RTN_UNICAST || info.rtm_flags & RTM_F_CLONED)
    return;
  visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == RTA_DST)
      to = address_in(attribute, info.rtm_family);
    if (attribute.rta_type == RTA_OIF && RTA_PAYLOAD(&attribute) == sizeof(interface))
      std::memcpy(&interface, RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(interface));
    if (attribute.rta_type == RTA_GATEWAY)
      gateway = address_in(attribute, info.rtm_family);
    if (attribute.rta_type == RTA_GATEWAY || attribute.rta_type == RTA_VIA ||
        attribute.rta_type == RTA_MULTIPATH)
      is_direct = false;
  });
  if (interface == 0)
    return;
  if (info.rtm_dst_len == 0 && gateway)
    networks.interfaces[interface].gateways.push_back(
        {*gateway, find_neighbour(interface, *gateway)});
  if (info.rtm_dst_len != 0 && to && is_direct)
    add(networks.links, {prefix_of(*to, info.rtm_family, info.rtm_dst_len), interface});
}

int list_once(HostNetworks& networks, std::size_t most_routes) {
  const auto list = [&](std::uint16_t request, void (*take)(HostNetworks&, const nlmsghdr&)) {
    return visit_dump(request, [&](const nlmsghdr& header) { take(networks, header); });
  };
  HostRouting routing;
  networks = {};
  int failed = list(RTM_GETLINK, add_interface);
  failed = failed ? failed : list(RTM_GETADDR, add_address);
  failed = failed ? failed : visit_dump(RTM_GETROUTE, [&](const nlmsghdr& header) {
    add_route(networks, header);
    routing.add_route(header, most_routes);
  });
  if (failed)
    return failed;
  failed = visit_dump(RTM_GETRULE, [&](const nlmsghdr& header) { routing.add_rule(header); });
  if (failed == EAGAIN)
    return failed;
  if (!failed) // else this kernel has no rules
    networks.routing = std::make_shared<const HostRouting>(std::move(routing));
  return 0;
}

} // namespace

Result<HostNetworks> read_host_networks(std::size_t most_routes) {
  HostNetworks networks;
  int failed = EAGAIN;
  for (int attempt = 0; failed == EAGAIN && attempt < read_attempts; attempt++)
    failed = list_once(networks, most_routes);
  if (failed)
    return Error{
        fmt::format("cannot list this host's addresses and routes: {}", error_text(failed))};
  return networks;
}

std::optional<LinkAddress> find_neighbour(unsigned interface, const trap_address& address) {
  const bool is_v4 = trap_address_is_v4(&address);
  struct {
    nlmsghdr header;
    ndmsg body;
    rtattr attribute;
    std::uint8_t bytes[16];
  } request = {};
  const std::size_t bytes = is_v4 ? 4 : sizeof(address);
  request.attribute.rta_type = NDA_DST;
  request.attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(bytes));
  std::memcpy(request.bytes, address.bytes + (sizeof(address) - bytes), bytes);
  request.body.ndm_family = is_v4 ? AF_INET : AF_INET6;
  request.body.ndm_ifindex = static_cast<int>(interface);
  request.header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof(ndmsg)) + RTA_LENGTH(bytes));
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  std::optional<LinkAddress> found;
  ask_one(&request.header, [&](const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWNEIGH)
      return;
    visit_attributes_of<ndmsg>(header, [&](const rtattr& attribute) {
      LinkAddress mac;
      if (attribute.rta_type != NDA_LLADDR || RTA_PAYLOAD(&attribute) != sizeof(mac))
        return;
      std::memcpy(mac.data(), RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(mac));
      found = mac;
    });
  });
  return found;
}

} // namespace trap
