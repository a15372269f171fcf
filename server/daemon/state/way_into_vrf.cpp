// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/state/way_into_vrf.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

namespace trap::server {
namespace {

constexpr std::string_view takers[] = {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"};
constexpr std::string_view gatherers[] = {"bridge", "bond", "team"};

bool is_in_vrf(const HostInterface& interface) {
  return interface.slave_of == "vrf";
}

// Are the packets of `lower` also those of `upper`, without an envelope? The peer of a veth, or the
// interface of a tunnel's, is its "lower" as well.
bool lies_upon(const HostInterface& upper, const HostInterface& lower) {
  return (upper.lower == lower.index && std::ranges::count(takers, upper.kind) != 0) ||
         (lower.master == upper.index && std::ranges::count(gatherers, upper.kind) != 0);
}

// The interface and all upon it, from the lowest up.
std::vector<const HostInterface*> stack_upon(const std::vector<HostInterface>& all,
                                             const HostInterface& lowest) {
  std::vector<const HostInterface*> stack = {&lowest};
  std::set<unsigned> seen = {lowest.index};
  for (std::size_t at = 0; at < stack.size(); at++)
    for (const HostInterface& interface : all)
      if (lies_upon(interface, *stack[at]) && seen.insert(interface.index).second)
        stack.push_back(&interface);
  return stack;
}

// Addresses of loopback, and those that no interface has, may be in any VRF.
bool may_be_in(unsigned vrf, const std::vector<HostInterface>& all,
               const std::vector<std::string>& holders) {
  bool is_elsewhere = false;
  for (const HostInterface& interface : all) {
    if (std::ranges::find(holders, interface.name) == holders.end())
      continue;
    if (interface.is_loopback || interface.index == vrf || interface.master == vrf)
      return true;
    is_elsewhere = true;
  }
  return !is_elsewhere;
}

} // namespace

std::string find_way_into_vrf(const std::vector<HostInterface>& all,
                              const std::vector<std::string>& attached,
                              const std::vector<std::string>& holders) {
  std::string found;
  for (const HostInterface& lowest : all) {
    if (std::ranges::find(attached, lowest.name) == attached.end())
      continue;
    if (is_in_vrf(lowest))
      return lowest.name;
    for (const HostInterface* upper : stack_upon(all, lowest))
      if (found.empty() && is_in_vrf(*upper) && may_be_in(upper->master, all, holders))
        found = fmt::format("{} (upon {})", upper->name, lowest.name);
  }
  return found;
}

} // namespace trap::server
