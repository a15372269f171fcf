// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/return_route.h"

#include <cstring>
#include <vector>

#include <linux/rtnetlink.h>

#include "runtime/net/netlink_dump.h"
#include "server/daemon/watch/default_route.h"

namespace trap::server {
namespace {

std::optional<trap_address> address_of(const void* data, std::size_t bytes) {
  trap_address address = {};
  if (bytes == sizeof(address)) {
    std::memcpy(&address, data, sizeof(address));
    return address;
  }
  __be32 ipv4;
  if (bytes != sizeof(ipv4))
    return std::nullopt;
  std::memcpy(&ipv4, data, sizeof(ipv4));
  return trap_address_v4(ipv4);
}

template <class Value> Value content_of(const rtattr& attribute) {
  Value value = {};
  if (RTA_PAYLOAD(&attribute) >= sizeof(value))
    std::memcpy(&value, RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(value));
  return value;
}

// A path MTU that was learnt is no wish of the route's.
void add_metrics(ReturnRoute& route, const rtattr& metrics, bool is_learnt, unsigned headers) {
  std::uint32_t mtu = 0;
  const auto* first = static_cast<const rtattr*>(RTA_DATA(const_cast<rtattr*>(&metrics)));
  visit_attributes(first, RTA_PAYLOAD(&metrics), [&](const rtattr& metric) {
    const auto value = content_of<std::uint32_t>(metric);
    switch (metric.rta_type) {
    case RTAX_ADVMSS:
      route.mss = value;
      return;
    case RTAX_MTU:
      mtu = is_learnt ? 0 : value;
      return;
    case RTAX_HOPLIMIT:
      route.hops = value;
      return;
    case RTAX_WINDOW:
    case RTAX_INITRWND:
      route.window = value;
      return;
    default:
      return;
    }
  });
  if (route.mss == 0 && mtu > headers)
    route.mss = mtu - headers;
}

// A gateway as an attribute says it: of the route's family, or of another (RTA_VIA).
std::optional<trap_address> gateway_of(const rtattr& attribute) {
  const void* data = RTA_DATA(const_cast<rtattr*>(&attribute));
  if (attribute.rta_type == RTA_GATEWAY)
    return address_of(data, RTA_PAYLOAD(&attribute));
  if (attribute.rta_type == RTA_VIA && RTA_PAYLOAD(&attribute) > sizeof(rtvia))
    return address_of(static_cast<const char*>(data) + sizeof(rtvia),
                      RTA_PAYLOAD(&attribute) - sizeof(rtvia));
  return std::nullopt;
}

// The route that the stack would take now.
std::optional<ReturnRoute> present_route(const trap_address& client, const RouteSource& source) {
  constexpr unsigned ipv4_headers = 40, ipv6_headers = 60;
  const bool is_v4 = trap_address_is_v4(&client);
  std::optional<ReturnRoute> found;
  ask_route({.to = client, .source = source}, [&](const nlmsghdr& header) {
    ReturnRoute route;
    route.next_hop = client;
    bool is_learnt = false;
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      if (attribute.rta_type == RTA_CACHEINFO)
        is_learnt = content_of<rta_cacheinfo>(attribute).rta_expires != 0;
    });
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      if (attribute.rta_type == RTA_OIF)
        route.interface = content_of<unsigned>(attribute);
      else if (const auto gateway = gateway_of(attribute))
        route.next_hop = *gateway;
      else if (attribute.rta_type == RTA_METRICS)
        add_metrics(route, attribute, is_learnt, is_v4 ? ipv4_headers : ipv6_headers);
    });
    found = route;
  });
  return found;
}

struct Hop {
  unsigned interface = 0;
  trap_address gateway = {};
};

template <class Visit> void visit_hops(const rtattr& multipath, const Visit& visit) {
  auto left = static_cast<int>(RTA_PAYLOAD(&multipath));
  const auto* at = static_cast<const rtnexthop*>(RTA_DATA(const_cast<rtattr*>(&multipath)));
  for (; RTNH_OK(at, left); left -= RTNH_ALIGN(at->rtnh_len), at = RTNH_NEXT(at)) {
    Hop hop;
    hop.interface = static_cast<unsigned>(at->rtnh_ifindex);
    visit_attributes(RTNH_DATA(const_cast<rtnexthop*>(at)), at->rtnh_len - RTNH_LENGTH(0),
                     [&](const rtattr& attribute) {
                       if (const auto gateway = gateway_of(attribute))
                         hop.gateway = *gateway;
                     });
    visit(hop);
  }
}

// The next hops of the entry of the routing table that the client's address matches.
struct Entry {
  bool is_default = false;
  std::vector<Hop> hops; // empty where there is only one
};

Entry ask_entry(const trap_address& client, const RouteSource& source) {
  Entry entry;
  ask_route({.to = client, .source = source, .of_table = true}, [&](const nlmsghdr& header) {
    entry.is_default =
        static_cast<const rtmsg*>(NLMSG_DATA(const_cast<nlmsghdr*>(&header)))->rtm_dst_len == 0;
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      if (attribute.rta_type == RTA_MULTIPATH)
        visit_hops(attribute, [&](const Hop& hop) { entry.hops.push_back(hop); });
    });
  });
  return entry;
}

// Where the route has several next hops: the one that the frame came from, if it is among them.
void prefer_its_hop(ReturnRoute& route, const Entry& entry, const FrameWay& came) {
  bool is_found = false;
  for (const Hop& hop : entry.hops) {
    const auto mac = find_neighbour(hop.interface, hop.gateway);
    if (mac != came.from || (is_found && hop.interface != came.interface))
      continue;
    is_found = true;
    route.interface = hop.interface;
    route.next_hop = hop.gateway;
    route.mac = mac;
  }
}

} // namespace

std::optional<ReturnRoute> find_return_route(const trap_address& client, const RouteSource& source,
                                             const FrameWay& came) {
  std::optional<ReturnRoute> found = present_route(client, source);
  if (!found)
    return found;
  const auto gateway = default_gateway(found->interface, source);
  found->mac = find_neighbour(found->interface, found->next_hop);
  const Entry entry = ask_entry(client, source);
  found->is_default =
      entry.is_default || (gateway && trap_address_equal(&*gateway, &found->next_hop));
  if (found->mac != came.from || found->interface != came.interface)
    prefer_its_hop(*found, entry, came);
  return found;
}

} // namespace trap::server
