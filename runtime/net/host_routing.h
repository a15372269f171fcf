// SPDX-License-Identifier: Apache-2.0
// The rules by which this host chooses among its tables of routes, and the routes, as rtnetlink
// lists them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <linux/netlink.h>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/config/prefix.h"

namespace trap {

enum class RuleAction : std::uint8_t { looks_up, goes_on, refuses, unknown };

// What a rule asks for; a member as it is by default asks for nothing.
struct RoutingRule {
  trap_family family = TRAP_IPV4;
  RuleAction action = RuleAction::unknown;
  bool inverted = false;
  Prefix from{}, to{}; // of 128 bits
  std::uint32_t priority = 0;
  std::uint32_t next_priority = 0; // goes on with the first rule of this or more
  std::uint32_t table = 0;
  unsigned shortest_bits = 0; // routes of fewer do not count
  std::uint32_t mark = 0, mask = 0;
  unsigned in = 0, out = 0; // interfaces
  std::pair<std::uint32_t, std::uint32_t> users{0, UINT32_MAX};
  std::pair<std::uint16_t, std::uint16_t> local_ports{0, UINT16_MAX}, ports{0, UINT16_MAX};
  bool by_dscp = false;
  std::uint8_t dscp = 0; // in its place in the TOS

  bool operator==(const RoutingRule&) const = default;
};

constexpr unsigned no_such_interface = UINT32_MAX; // of a rule

enum class RouteKind : std::uint8_t { unicast, local, refused, next_rule, unknown };

enum class NextHop : std::uint8_t { unknown, destination, gateway };

struct TableRoute {
  RouteKind kind = RouteKind::unknown;
  unsigned interface = 0; // of unicast
  NextHop next_hop = NextHop::unknown;
  std::array<std::uint8_t, 16> gateway{};
  std::uint32_t metric = 0;

  bool operator==(const TableRoute&) const = default;
};

// Family, table, bits of 128, and address of its prefix.
using RouteKey = std::tuple<trap_family, std::uint32_t, unsigned, std::array<std::uint8_t, 16>>;

struct HostRouting {
  std::vector<RoutingRule> rules; // those of a family in their order
  std::map<RouteKey, TableRoute> routes;
  bool too_many = false; // routes; then there are none

  bool operator==(const HostRouting&) const = default;

  // One message of a list, of those that are about rules or routes of TCP over IP.
  void add_rule(const nlmsghdr& header);
  void add_route(const nlmsghdr& header, std::size_t most);
};

} // namespace trap
