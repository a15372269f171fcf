// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/return_ways.h"

#include <algorithm>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include "runtime/config/endpoint.h"
#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

constexpr std::uint64_t way_memory_ns = 600 * ns_per_s;
constexpr std::uint64_t syn_memory_ns = 60 * ns_per_s;
constexpr std::uint64_t enough_completed = 2, enough_syns = 4;
constexpr std::size_t most_ways = 64;

std::string text_of(const LinkAddress& mac) {
  return fmt::format("{:02x}", fmt::join(mac, ":"));
}

std::string name_of(unsigned interface) {
  char name[IF_NAMESIZE] = {};
  return if_indextoname(interface, name) ? name : fmt::format("interface {}", interface);
}

std::string difference_of_values(const ReturnRoute& route, const RouteWish& told) {
  if (route.mss != told.mss)
    return route.mss == 0
               ? fmt::format("asks for no MSS, and clients are told {}", told.mss)
               : fmt::format("asks for an MSS of {}, and clients are told {}", route.mss,
                             told.mss == 0 ? "the interface's" : std::to_string(told.mss));
  if (route.hops != told.hops)
    return fmt::format("has hoplimit {}, and SYN-ACKs have that of the default route", route.hops);
  if (route.window != 0)
    return "limits the first window (window or initrwnd), and SYN-ACKs do not";
  return "";
}

} // namespace

std::uint64_t ReturnWays::evidence_of(const Way& way) {
  return way.completed + (way.is_default ? way.syns_ns.size() : 0);
}

bool ReturnWays::is_recent(const Way& way, std::uint64_t now_ns) {
  return now_ns < way.last_ns + way_memory_ns;
}

void ReturnWays::note(std::uint64_t now_ns, const Sighting& sighting, const ReturnRoute& route,
                      bool is_same_link, const RouteWish& told) {
  std::erase_if(ways_, [&](const auto& entry) { return !is_recent(entry.second, now_ns); });
  if (is_same_link && !route.mac)
    return; // nothing to compare with
  const LinkAddress to = is_same_link ? *route.mac : LinkAddress{};
  std::string difference = difference_of_values(route, told);
  if (!is_same_link)
    difference = fmt::format("leaves by {}, and they come by {}", name_of(route.interface),
                             name_of(sighting.interface));
  const std::string key =
      fmt::format("{} {} {} {} {} {}", sighting.interface, text_of(sighting.from), is_same_link,
                  text_of(to), route.is_default, difference);
  if (!ways_.contains(key) && ways_.size() >= most_ways) {
    const auto unproven = std::ranges::find_if(
        ways_, [](const auto& entry) { return evidence_of(entry.second) == 0; });
    if (unproven == ways_.end())
      return;
    ways_.erase(unproven);
  }
  Way& way = ways_[key];
  if (way.last_ns == 0) {
    way.interface = sighting.interface;
    way.from = sighting.from;
    way.to = to;
    way.route_interface = route.interface;
    way.can_follow = is_same_link;
    way.is_default = route.is_default;
    way.difference = std::move(difference);
    way.example = sighting.client;
    way.source = sighting.source;
  }
  way.last_ns = now_ns;
  way.completed += sighting.completed ? 1 : 0;
  if (!sighting.completed)
    way.syns_ns.push_back(now_ns);
  std::erase_if(way.syns_ns, [&](std::uint64_t ns) { return now_ns >= ns + syn_memory_ns; });
}

void ReturnWays::renew(const AskRoute& ask, const AskTold& told) {
  std::erase_if(ways_, [&](const auto& entry) {
    const Way& way = entry.second;
    if (way.to == way.from && way.difference.empty())
      return false;
    const auto route = ask(way.example, way.source, {way.interface, way.from});
    if (!route || route->interface != way.route_interface)
      return true;
    return way.can_follow && (route->mac != way.to ||
                              difference_of_values(*route, told(way.example)) != way.difference);
  });
}

std::size_t ReturnWays::count_syns(const Way& way, std::uint64_t now_ns) {
  return static_cast<std::size_t>(std::ranges::count_if(
      way.syns_ns, [&](std::uint64_t ns) { return now_ns < ns + syn_memory_ns; }));
}

std::size_t ReturnWays::count_syns(std::uint64_t now_ns) const {
  std::size_t count = 0;
  for (const auto& [key, way] : ways_)
    count += count_syns(way, now_ns);
  return count;
}

std::vector<trap_next_hop> ReturnWays::next_hops(std::uint64_t now_ns) const {
  std::vector<trap_next_hop> hops;
  for (const auto& entry : ways_) {
    const auto& way = entry.second;
    if (!is_recent(way, now_ns) || !way.can_follow || way.to == way.from ||
        evidence_of(way) < enough_completed)
      continue;
    // Clients by this neighbour that are answered in another way would be led astray.
    const bool is_alone = std::ranges::none_of(ways_, [&](const auto& other) {
      return is_recent(other.second, now_ns) && other.second.interface == way.interface &&
             other.second.from == way.from && other.second.can_follow &&
             other.second.to != way.to && evidence_of(other.second) > 0;
    });
    if (!is_alone || hops.size() == TRAP_NEXT_HOPS)
      continue;
    trap_next_hop hop = {};
    hop.interface_index = way.interface;
    std::ranges::copy(way.from, hop.from);
    std::ranges::copy(way.to, hop.to);
    const bool is_there = std::ranges::any_of(hops, [&](const trap_next_hop& known) {
      return known.interface_index == hop.interface_index &&
             std::ranges::equal(known.from, hop.from);
    });
    if (!is_there)
      hops.push_back(hop);
  }
  return hops;
}

// SYNs may be spoofed: a few that would be answered elsewhere say nothing.
std::vector<std::string> ReturnWays::problems(std::uint64_t now_ns) const {
  std::vector<std::string> problems;
  const auto hops = next_hops(now_ns);
  const auto is_followed = [&](const Way& way) {
    return way.to == way.from || std::ranges::any_of(hops, [&](const trap_next_hop& hop) {
             return hop.interface_index == way.interface && std::ranges::equal(hop.from, way.from);
           });
  };
  const std::size_t syns = count_syns(now_ns);
  for (const auto& [key, way] : ways_) {
    if (!is_recent(way, now_ns) ||
        (way.completed < enough_completed &&
         (count_syns(way, now_ns) < enough_syns || count_syns(way, now_ns) * 4 < syns)))
      continue;
    if (!way.difference.empty())
      problems.push_back(fmt::format("the route to clients such as {} {}: TRAP answers as for the "
                                     "default route, to where frames come from",
                                     format_address(way.example), way.difference));
    if (way.can_follow && !is_followed(way))
      problems.push_back(fmt::format(
          "clients such as {} come from {} by {}, and the route to them leads to {}: TRAP answers "
          "to where frames come from, and answers are lost if that does not forward them",
          format_address(way.example), text_of(way.from), name_of(way.interface), text_of(way.to)));
  }
  return problems;
}

} // namespace trap::server
