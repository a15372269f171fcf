// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/route_mss.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include <net/if.h>
#include <netinet/in.h>

#include "runtime/net/netlink_dump.h"

namespace trap::server {
namespace {

// Somewhere on the Internet. Nothing is sent there.
constexpr std::array<std::uint8_t, 4> far_ipv4 = {1, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> far_ipv6 = {0x20, 0, 0, 0, 0, 0, 0, 0,
                                                   0,    0, 0, 0, 0, 0, 0, 1};
constexpr unsigned ipv4_header_bytes = 40, ipv6_header_bytes = 60; // with TCP's

struct Question {
  nlmsghdr header;
  rtmsg body;
  rtattr interface_attribute;
  std::uint32_t interface;
  rtattr address_attribute;
  std::uint8_t address[16];
};

Question question_of(unsigned interface, std::span<const std::uint8_t> address) {
  Question question = {};
  question.interface_attribute = {RTA_LENGTH(sizeof(question.interface)), RTA_OIF};
  question.interface = interface;
  question.address_attribute = {static_cast<unsigned short>(RTA_LENGTH(address.size())), RTA_DST};
  std::memcpy(question.address, address.data(), address.size());
  question.body.rtm_family = address.size() == 4 ? AF_INET : AF_INET6;
  question.body.rtm_dst_len = static_cast<unsigned char>(address.size() * 8);
  question.header.nlmsg_len =
      static_cast<std::uint32_t>(sizeof(question) - sizeof(question.address) + address.size());
  question.header.nlmsg_type = RTM_GETROUTE;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  return question;
}

// The metrics of a route; 0: it has none.
struct Metrics {
  std::uint32_t mss = 0, mtu = 0, hops = 0;
};

Metrics route_metrics(unsigned interface, std::span<const std::uint8_t> address) {
  const Question question = question_of(interface, address);
  Metrics found;
  ask_one(&question.header, [&](const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWROUTE)
      return;
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

// What the route there asks for; 0 if there is none, or it asks for nothing.
unsigned route_mss(unsigned interface, std::span<const std::uint8_t> address,
                   unsigned header_bytes) {
  const Metrics metrics = route_metrics(interface, address);
  return metrics.mss != 0 || metrics.mtu <= header_bytes ? metrics.mss : metrics.mtu - header_bytes;
}

} // namespace

std::optional<trap_address> default_gateway(unsigned interface, trap_family family) {
  const Question question =
      family == TRAP_IPV4 ? question_of(interface, far_ipv4) : question_of(interface, far_ipv6);
  std::optional<trap_address> gateway;
  ask_one(&question.header, [&](const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWROUTE)
      return;
    visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
      if (attribute.rta_type != RTA_GATEWAY)
        return;
      const void* data = RTA_DATA(const_cast<rtattr*>(&attribute));
      trap_address address = {};
      if (family == TRAP_IPV4 && RTA_PAYLOAD(&attribute) == 4) {
        __be32 ipv4;
        std::memcpy(&ipv4, data, sizeof(ipv4));
        gateway = trap_address_v4(ipv4);
      } else if (family == TRAP_IPV6 && RTA_PAYLOAD(&attribute) == sizeof(address)) {
        std::memcpy(&address, data, sizeof(address));
        gateway = address;
      }
    });
  });
  return gateway;
}

namespace {

void lower(unsigned& least, unsigned mss) {
  if (mss != 0)
    least = least == 0 ? mss : std::min(least, mss);
}

} // namespace

RouteHops default_route_hops(const std::vector<std::string>& interfaces) {
  RouteHops least;
  for (const std::string& name : interfaces) {
    const unsigned interface = if_nametoindex(name.c_str());
    if (interface == 0)
      continue;
    lower(least.ipv4, route_metrics(interface, far_ipv4).hops);
    lower(least.ipv6, route_metrics(interface, far_ipv6).hops);
  }
  return least;
}

RouteMss default_route_mss(const std::vector<std::string>& interfaces) {
  RouteMss least;
  for (const std::string& name : interfaces) {
    const unsigned interface = if_nametoindex(name.c_str());
    if (interface == 0)
      continue;
    lower(least.ipv4, route_mss(interface, far_ipv4, ipv4_header_bytes));
    lower(least.ipv6, route_mss(interface, far_ipv6, ipv6_header_bytes));
  }
  return least;
}

} // namespace trap::server
