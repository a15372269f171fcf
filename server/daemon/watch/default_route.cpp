// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/default_route.h"

#include <algorithm>
#include <cstring>

#include <linux/rtnetlink.h>
#include <net/if.h>

#include "runtime/net/netlink_dump.h"

namespace trap::server {
namespace {

// Somewhere on the Internet. Nothing is sent there.
constexpr trap_address far_ipv4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 0, 0, 1}};
constexpr trap_address far_ipv6 = {{0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr unsigned ipv4_header_bytes = 40, ipv6_header_bytes = 60; // with TCP's

// The default route of a source through an interface.
RouteQuestion default_route(unsigned interface, const RouteSource& source) {
  return {.to = trap_address_is_v4(&source.address) ? far_ipv4 : far_ipv6,
          .source = source,
          .interface = interface};
}

// The metrics of a route; 0: it has none.
struct Metrics {
  std::uint32_t mss = 0, mtu = 0, hops = 0;
};

Metrics metrics_of(const RouteQuestion& question) {
  Metrics found;
  ask_route(question, [&](const nlmsghdr& header) {
    visit_attributes_of<rtmsg>(header, [&](const rtattr& metrics) {
      if (metrics.rta_type != RTA_METRICS)
        return;
      const auto* first = static_cast<const rtattr*>(RTA_DATA(const_cast<rtattr*>(&metrics)));
      visit_attributes(first, RTA_PAYLOAD(&metrics), [&](const rtattr& metric) {
        std::uint32_t value = 0;
        if (RTA_PAYLOAD(&metric) != sizeof(value))
          return;
        std::memcpy(&value, RTA_DATA(const_cast<rtattr*>(&metric)), sizeof(value));
        if (metric.rta_type == RTAX_ADVMSS)
          found.mss = value;
        else if (metric.rta_type == RTAX_MTU)
          found.mtu = value;
        else if (metric.rta_type == RTAX_HOPLIMIT)
          found.hops = value;
      });
    });
  });
  return found;
}

void lower(unsigned& least, unsigned value) {
  if (value != 0)
    least = least == 0 ? value : std::min(least, value);
}

} // namespace

std::optional<trap_address> default_gateway(unsigned interface, const RouteSource& source) {
  std::optional<trap_address> gateway;
  ask_route(default_route(interface, source), [&](const nlmsghdr& header) {
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      if (attribute.rta_type != RTA_GATEWAY)
        return;
      const void* data = RTA_DATA(const_cast<rtattr*>(&attribute));
      trap_address address = {};
      if (trap_address_is_v4(&source.address) && RTA_PAYLOAD(&attribute) == 4) {
        __be32 ipv4;
        std::memcpy(&ipv4, data, sizeof(ipv4));
        gateway = trap_address_v4(ipv4);
      } else if (RTA_PAYLOAD(&attribute) == sizeof(address)) {
        std::memcpy(&address, data, sizeof(address));
        gateway = address;
      }
    });
  });
  return gateway;
}

RouteWishes default_route_wishes(const std::vector<std::string>& interfaces,
                                 const std::vector<RouteSource>& sources) {
  RouteWishes least;
  for (const std::string& name : interfaces) {
    const unsigned interface = if_nametoindex(name.c_str());
    if (interface == 0)
      continue;
    for (const RouteSource& source : sources) {
      const bool is_v4 = trap_address_is_v4(&source.address);
      const unsigned headers = is_v4 ? ipv4_header_bytes : ipv6_header_bytes;
      RouteWish& wish = is_v4 ? least.ipv4 : least.ipv6;
      const Metrics metrics = metrics_of(default_route(interface, source));
      lower(wish.mss,
            metrics.mss != 0 || metrics.mtu <= headers ? metrics.mss : metrics.mtu - headers);
      lower(wish.hops, metrics.hops);
    }
  }
  return least;
}

} // namespace trap::server
