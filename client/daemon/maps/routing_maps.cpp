// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/maps/routing_maps.h"

#include <algorithm>
#include <map>

namespace trap::client {
namespace {

constexpr __u32 key_bits = 32; // of a key in front of its prefix
constexpr trap_family families[] = {TRAP_IPV4, TRAP_IPV6};

// The numbers of a set's tables, which the kernel knows by family and a number of its own.
class Tables {
public:
  __u32 number_of(trap_family family, __u32 table) {
    return numbers_.try_emplace({family, table}, static_cast<__u32>(numbers_.size()) + 1)
        .first->second;
  }

private:
  std::map<std::pair<trap_family, __u32>, __u32> numbers_;
};

trap_rule_action action_of(RuleAction action) {
  switch (action) {
  case RuleAction::looks_up:
    return TRAP_RULE_LOOKS_UP;
  case RuleAction::goes_on:
    return TRAP_RULE_GOES_ON;
  case RuleAction::refuses:
    return TRAP_RULE_REFUSES;
  case RuleAction::unknown:
    break;
  }
  return TRAP_RULE_UNKNOWN;
}

trap_rule rule_of(const RoutingRule& rule, Tables& tables) {
  trap_rule made = {};
  made.from = rule.from.address;
  made.from_bits = static_cast<__u8>(rule.from.bits);
  made.to = rule.to.address;
  made.to_bits = static_cast<__u8>(rule.to.bits);
  made.action = action_of(rule.action);
  made.flags = (rule.inverted ? TRAP_RULE_INVERTED : 0) | (rule.by_dscp ? TRAP_RULE_BY_DSCP : 0);
  made.dscp = rule.dscp;
  made.shortest_bits = static_cast<__u8>(rule.shortest_bits);
  made.priority = rule.priority;
  made.next_priority = rule.next_priority;
  made.table = tables.number_of(rule.family, rule.table);
  made.mark = rule.mark;
  made.mask = rule.mask;
  made.in = rule.in;
  made.out = rule.out;
  std::tie(made.user_first, made.user_last) = rule.users;
  std::tie(made.local_port_first, made.local_port_last) = rule.local_ports;
  std::tie(made.port_first, made.port_last) = rule.ports;
  return made;
}

__u32 way_of(const TableRoute& route) {
  switch (route.kind) {
  case RouteKind::unicast:
    return route.interface;
  case RouteKind::local:
    return TRAP_WAY_LOCAL;
  case RouteKind::refused:
    return TRAP_WAY_REFUSED;
  case RouteKind::next_rule:
    return TRAP_WAY_NEXT_RULE;
  case RouteKind::unknown:
    break;
  }
  return TRAP_WAY_UNKNOWN;
}

trap_route_hop route_hop_of(const TableRoute& route) {
  switch (route.next_hop) {
  case NextHop::destination:
    return TRAP_ROUTE_HOP_DESTINATION;
  case NextHop::gateway:
    return TRAP_ROUTE_HOP_GATEWAY;
  case NextHop::unknown:
    break;
  }
  return TRAP_ROUTE_HOP_UNKNOWN;
}

Result<void> remove_set(int routes_fd, __u32 set, MapStore& store) {
  for (const trap_trust_key& key : store.keys<trap_trust_key>(routes_fd)) {
    if (key.of >> 16 != set)
      continue;
    if (auto removed = store.remove(routes_fd, "routes", key); !removed)
      return removed;
  }
  return {};
}

Result<void> write_rules(int rules_fd, __u32 set, const HostRouting& routing, Tables& tables,
                         MapStore& store) {
  for (const trap_family family : families) {
    __u32 number = 0;
    const auto write = [&](const trap_rule& rule) {
      return store.write(rules_fd, "rules", trap_rule_place(set, family == TRAP_IPV6, number++),
                         rule);
    };
    for (const RoutingRule& rule : routing.rules) {
      if (rule.family != family)
        continue;
      if (auto written = write(rule_of(rule, tables)); !written)
        return written;
    }
    while (number < TRAP_CLIENT_MAX_RULES) {
      if (auto written = write({}); !written)
        return written;
    }
  }
  return {};
}

Result<void> write_routes(int routes_fd, __u32 set, const HostRouting& routing, Tables& tables,
                          MapStore& store) {
  for (const auto& [place, route] : routing.routes) {
    const auto& [family, table, bits, address] = place;
    trap_trust_key key = {};
    key.bits = key_bits + bits;
    key.of = trap_routing_table(set, tables.number_of(family, table));
    std::ranges::copy(address, key.prefix.bytes);
    trap_route made = {};
    made.way = way_of(route);
    made.bits = bits;
    made.next_hop = route_hop_of(route);
    std::ranges::copy(route.gateway, made.gateway.bytes);
    if (auto written = store.write(routes_fd, "routes", key, made); !written)
      return written;
  }
  return {};
}

} // namespace

bool is_followed(const HostRouting* routing) {
  return routing && !routing->too_many && routing->routes.size() <= TRAP_CLIENT_MAX_ROUTES &&
         std::ranges::all_of(families, [&](trap_family family) {
           return std::ranges::count(routing->rules, family, &RoutingRule::family) <=
                  TRAP_CLIENT_MAX_RULES;
         });
}

Result<void> write_routing(const RoutingFds& fds, trap_client_settings& settings,
                           const HostRouting* routing, MapStore& store) {
  const __u32 before = settings.routing;
  const __u32 set = before == 1 ? 2 : 1;
  const bool followed = is_followed(routing);
  if (followed) {
    Tables tables;
    if (auto removed = remove_set(fds.routes, set, store); !removed)
      return removed;
    if (auto written = write_routes(fds.routes, set, *routing, tables, store); !written)
      return written;
    if (auto written = write_rules(fds.rules, set, *routing, tables, store); !written)
      return written;
  }
  __atomic_store_n(&settings.routing, followed ? set : 0, __ATOMIC_RELEASE);
  return before ? remove_set(fds.routes, before, store) : Result<void>{};
}

} // namespace trap::client
