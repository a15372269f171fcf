// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/host_routing.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>

#include "runtime/net/netlink_dump.h"

namespace trap {
namespace {

constexpr unsigned bits_before_ipv4 = 96;
constexpr std::uint8_t dscp_mask = 0xfc;
constexpr std::uint16_t dscp_attribute = 25;                         // FRA_DSCP, Linux 6.13
constexpr std::uint16_t local_port_mask = 28, port_mask = 29;        // Linux 6.15
constexpr std::uint16_t dscp_mask_attribute = 30, whole_dscp = 0x3f; // Linux 6.16
constexpr std::uint8_t dscp_shift = 2;
constexpr std::uint16_t never_of_sockets[] = {FRA_TUN_ID, FRA_L3MDEV};
constexpr std::uint16_t of_no_interest[] = {FRA_PRIORITY, FRA_FLOW, FRA_TABLE,
                                            FRA_PROTOCOL, FRA_PAD,  FRA_UNSPEC};

template <class T> std::optional<T> value_of(const rtattr& attribute) {
  T value;
  if (RTA_PAYLOAD(&attribute) != sizeof(value))
    return std::nullopt;
  std::memcpy(&value, RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(value));
  return value;
}

Prefix prefix_of(const rtattr& attribute, trap_family family, unsigned bits) {
  if (family == TRAP_IPV4) {
    const auto ipv4 = value_of<__be32>(attribute);
    return {trap_address_mask(trap_address_v4(ipv4.value_or(0)), TRAP_IPV4, bits),
            bits + bits_before_ipv4};
  }
  const auto ipv6 = value_of<trap_address>(attribute);
  return {trap_address_mask(ipv6.value_or(trap_address{}), TRAP_IPV6, bits), bits};
}

std::optional<trap_family> family_of_number(unsigned char number) {
  return number == AF_INET    ? std::optional{TRAP_IPV4}
         : number == AF_INET6 ? std::optional{TRAP_IPV6}
                              : std::nullopt;
}

unsigned interface_of(const rtattr& attribute) {
  const auto* name = static_cast<const char*>(RTA_DATA(const_cast<rtattr*>(&attribute)));
  const unsigned index =
      if_nametoindex(std::string(name, strnlen(name, RTA_PAYLOAD(&attribute))).c_str());
  return index ? index : no_such_interface;
}

template <class Range, class Ports>
void read_ports(const rtattr& attribute, Ports& ports, bool& unknown) {
  const auto range = value_of<Range>(attribute);
  if (range)
    ports = {range->start, range->end};
  unknown |= !range;
}

RuleAction action_of(std::uint8_t action) {
  switch (action) {
  case FR_ACT_TO_TBL:
    return RuleAction::looks_up;
  case FR_ACT_GOTO:
  case FR_ACT_NOP:
    return RuleAction::goes_on;
  case FR_ACT_BLACKHOLE:
  case FR_ACT_UNREACHABLE:
  case FR_ACT_PROHIBIT:
    return RuleAction::refuses;
  default:
    return RuleAction::unknown;
  }
}

struct RuleReader {
  RoutingRule& rule;
  const fib_rule_hdr& body;
  bool unknown = false; // asks for something that is not known here
  bool never = false;   // asks for something that no TCP socket has

  void read(const rtattr& attribute) {
    switch (attribute.rta_type) {
    case FRA_DST:
      rule.to = prefix_of(attribute, rule.family, body.dst_len);
      break;
    case FRA_SRC:
      rule.from = prefix_of(attribute, rule.family, body.src_len);
      break;
    case FRA_IIFNAME:
      rule.in = interface_of(attribute);
      break;
    case FRA_OIFNAME:
      rule.out = interface_of(attribute);
      break;
    case FRA_FWMARK:
      rule.mark = value_of<std::uint32_t>(attribute).value_or(0);
      break;
    case FRA_FWMASK:
      rule.mask = value_of<std::uint32_t>(attribute).value_or(0);
      break;
    case FRA_UID_RANGE:
      read_ports<fib_rule_uid_range>(attribute, rule.users, unknown);
      break;
    case FRA_IP_PROTO:
      never |= value_of<std::uint8_t>(attribute) != IPPROTO_TCP;
      break;
    case FRA_SPORT_RANGE:
      read_ports<fib_rule_port_range>(attribute, rule.local_ports, unknown);
      break;
    case FRA_DPORT_RANGE:
      read_ports<fib_rule_port_range>(attribute, rule.ports, unknown);
      break;
    case FRA_GOTO:
      rule.next_priority = value_of<std::uint32_t>(attribute).value_or(0);
      break;
    case FRA_SUPPRESS_PREFIXLEN:
      suppress(value_of<std::uint32_t>(attribute).value_or(UINT32_MAX));
      break;
    case dscp_attribute:
      rule.by_dscp = true;
      rule.dscp =
          static_cast<std::uint8_t>(value_of<std::uint8_t>(attribute).value_or(0) << dscp_shift);
      break;
    case local_port_mask: // a single port has a mask, too
    case port_mask:
      unknown |= value_of<std::uint16_t>(attribute) != UINT16_MAX;
      break;
    case dscp_mask_attribute:
      unknown |= value_of<std::uint8_t>(attribute) != whole_dscp;
      break;
    default:
      read_rest(attribute);
    }
  }

private:
  void suppress(std::uint32_t bits) {
    if (bits != UINT32_MAX)
      rule.shortest_bits = bits + 1 + (rule.family == TRAP_IPV4 ? bits_before_ipv4 : 0);
  }

  void read_rest(const rtattr& attribute) {
    if (std::ranges::find(never_of_sockets, attribute.rta_type) != std::end(never_of_sockets))
      never = true;
    else if (std::ranges::find(of_no_interest, attribute.rta_type) == std::end(of_no_interest))
      unknown = true;
  }
};

// What the rule does, without what it asks for.
RoutingRule for_all(const RoutingRule& rule) {
  RoutingRule all;
  all.family = rule.family;
  all.action = rule.action;
  all.priority = rule.priority;
  all.next_priority = rule.next_priority;
  all.table = rule.table;
  all.shortest_bits = rule.shortest_bits;
  return all;
}

void read_next_hop(const rtattr& attribute, TableRoute& route, trap_family family) {
  if (attribute.rta_type == RTA_GATEWAY) {
    const unsigned bits = family == TRAP_IPV4 ? 32 : 128;
    route.next_hop = NextHop::gateway;
    std::ranges::copy(prefix_of(attribute, family, bits).address.bytes, route.gateway.begin());
  } else if (attribute.rta_type == RTA_VIA) { // a gateway of the other family
    struct {
      std::uint16_t family;
      std::uint8_t address[16];
    } via;
    route.next_hop = NextHop::unknown;
    if (RTA_PAYLOAD(&attribute) != sizeof(via))
      return;
    std::memcpy(&via, RTA_DATA(const_cast<rtattr*>(&attribute)), sizeof(via));
    route.next_hop = NextHop::gateway;
    std::ranges::copy(via.address, route.gateway.begin());
  }
}

RouteKind kind_of(unsigned char type) {
  switch (type) {
  case RTN_UNICAST:
    return RouteKind::unicast;
  case RTN_LOCAL:
  case RTN_BROADCAST:
  case RTN_ANYCAST:
  case RTN_MULTICAST:
    return RouteKind::local;
  case RTN_BLACKHOLE:
  case RTN_UNREACHABLE:
  case RTN_PROHIBIT:
    return RouteKind::refused;
  case RTN_THROW:
    return RouteKind::next_rule;
  default:
    return RouteKind::unknown;
  }
}

// The kernel chooses one of two routes of the same metric.
void join(TableRoute& best, const TableRoute& other) {
  if (best.kind != other.kind || best.interface != other.interface)
    best.kind = RouteKind::unknown;
  if (best.next_hop != other.next_hop || best.gateway != other.gateway)
    best.next_hop = NextHop::unknown;
}

} // namespace

void HostRouting::add_rule(const nlmsghdr& header) {
  fib_rule_hdr body;
  if (header.nlmsg_type != RTM_NEWRULE || header.nlmsg_len < NLMSG_LENGTH(sizeof(body)))
    return;
  std::memcpy(&body, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(body));
  const auto family = family_of_number(body.family);
  if (!family)
    return;
  RoutingRule rule;
  rule.family = *family;
  rule.action = action_of(body.action);
  rule.inverted = (body.flags & FIB_RULE_INVERT) != 0;
  rule.table = body.table;
  rule.by_dscp = body.tos != 0;
  rule.dscp = body.tos & dscp_mask;
  RuleReader reader{rule, body};
  visit_attributes_of<fib_rule_hdr>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == FRA_TABLE)
      rule.table = value_of<std::uint32_t>(attribute).value_or(rule.table);
    if (attribute.rta_type == FRA_PRIORITY)
      rule.priority = value_of<std::uint32_t>(attribute).value_or(0);
    reader.read(attribute);
  });
  if (reader.never && !rule.inverted)
    return;
  if (reader.never) { // what it asks for never holds, so it is for all
    rule = for_all(rule);
  } else if (reader.unknown) { // for those packets that have what is known of it
    rule = rule.inverted ? for_all(rule) : rule;
    rule.action = RuleAction::unknown;
  }
  if (body.flags & FIB_RULE_UNRESOLVED)
    rule.next_priority = 0; // the rule to go on with is not there
  rules.push_back(rule);
}

void HostRouting::add_route(const nlmsghdr& header, std::size_t most) {
  rtmsg body;
  if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len < NLMSG_LENGTH(sizeof(body)))
    return;
  std::memcpy(&body, NLMSG_DATA(const_cast<nlmsghdr*>(&header)), sizeof(body));
  const auto family = family_of_number(body.rtm_family);
  if (!family || too_many || body.rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD))
    return;
  TableRoute route{.kind = kind_of(body.rtm_type), .next_hop = NextHop::destination};
  std::uint32_t table = body.rtm_table;
  Prefix to{trap_address{}, 0};
  if (*family == TRAP_IPV4)
    to = {trap_address_v4(0), bits_before_ipv4};
  bool is_simple = body.rtm_src_len == 0 && (*family == TRAP_IPV6 || body.rtm_tos == 0);
  visit_attributes_of<rtmsg>(header, [&](const rtattr& attribute) {
    if (attribute.rta_type == RTA_TABLE)
      table = value_of<std::uint32_t>(attribute).value_or(table);
    if (attribute.rta_type == RTA_DST)
      to = prefix_of(attribute, *family, body.rtm_dst_len);
    if (attribute.rta_type == RTA_OIF)
      route.interface = value_of<std::uint32_t>(attribute).value_or(0);
    if (attribute.rta_type == RTA_PRIORITY)
      route.metric = value_of<std::uint32_t>(attribute).value_or(0);
    read_next_hop(attribute, route, *family);
    is_simple &= attribute.rta_type != RTA_MULTIPATH;
  });
  if (route.kind == RouteKind::unicast && (!is_simple || route.interface == 0))
    route = {.kind = RouteKind::unknown, .interface = route.interface, .metric = route.metric};
  else if (route.kind != RouteKind::unicast)
    route = {.kind = route.kind, .metric = route.metric};
  std::array<std::uint8_t, 16> address;
  std::ranges::copy(to.address.bytes, address.begin());
  const auto [known, is_new] = routes.try_emplace({*family, table, to.bits, address}, route);
  TableRoute& best = known->second;
  if (!is_new && route.metric < best.metric)
    best = route;
  else if (!is_new && route.metric == best.metric)
    join(best, route);
  if (routes.size() <= most)
    return;
  too_many = true;
  routes.clear();
}

} // namespace trap
