// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/return_route.h"

#include <cstring>

#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "runtime/net/netlink_dump.h"
#include "server/daemon/watch/route_mss.h"

namespace trap::server {
namespace {

struct RouteQuestion {
  nlmsghdr header;
  rtmsg body;
  std::uint8_t attributes[2 * (sizeof(rtattr) + sizeof(trap_address))];
};

void add_address(RouteQuestion& question, unsigned short type, const trap_address& address) {
  const std::size_t bytes = trap_address_is_v4(&address) ? 4 : sizeof(address);
  const rtattr attribute = {static_cast<unsigned short>(RTA_LENGTH(bytes)), type};
  auto* at = reinterpret_cast<std::uint8_t*>(&question) + question.header.nlmsg_len;
  std::memcpy(at, &attribute, sizeof(attribute));
  std::memcpy(at + sizeof(attribute), address.bytes + sizeof(address) - bytes, bytes);
  question.header.nlmsg_len += attribute.rta_len;
}

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

} // namespace

std::optional<ReturnRoute> find_return_route(const trap_address& client,
                                             const trap_address& service) {
  constexpr unsigned ipv4_headers = 40, ipv6_headers = 60;
  const bool is_v4 = trap_address_is_v4(&client);
  const unsigned char bits = is_v4 ? 32 : 128;
  RouteQuestion question = {};
  question.header.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
  question.header.nlmsg_type = RTM_GETROUTE;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.body.rtm_family = is_v4 ? AF_INET : AF_INET6;
  question.body.rtm_dst_len = question.body.rtm_src_len = bits;
  add_address(question, RTA_DST, client);
  add_address(question, RTA_SRC, service);
  std::optional<ReturnRoute> found;
  ask_one(&question.header, [&](const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWROUTE)
      return;
    ReturnRoute route;
    route.next_hop = client;
    bool is_learnt = false;
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      if (attribute.rta_type == RTA_CACHEINFO)
        is_learnt = content_of<rta_cacheinfo>(attribute).rta_expires != 0;
    });
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      const void* data = RTA_DATA(const_cast<rtattr*>(&attribute));
      if (attribute.rta_type == RTA_OIF)
        route.interface = content_of<unsigned>(attribute);
      else if (attribute.rta_type == RTA_GATEWAY)
        route.next_hop = address_of(data, RTA_PAYLOAD(&attribute)).value_or(client);
      else if (attribute.rta_type == RTA_VIA && RTA_PAYLOAD(&attribute) > sizeof(rtvia))
        route.next_hop = address_of(static_cast<const char*>(data) + sizeof(rtvia),
                                    RTA_PAYLOAD(&attribute) - sizeof(rtvia))
                             .value_or(client);
      else if (attribute.rta_type == RTA_METRICS)
        add_metrics(route, attribute, is_learnt, is_v4 ? ipv4_headers : ipv6_headers);
    });
    found = route;
  });
  if (found) {
    const auto gateway = default_gateway(found->interface, is_v4 ? TRAP_IPV4 : TRAP_IPV6);
    found->mac = find_neighbour(found->interface, found->next_hop);
    found->is_default = gateway && trap_address_equal(&*gateway, &found->next_hop);
  }
  return found;
}

} // namespace trap::server
