// SPDX-License-Identifier: Apache-2.0
// Compares the way that answers of XDP's take, back to the neighbour that a frame came from, with
// the way that the routing table has for the client: asymmetric routing, VRRP, direct server
// return. Where it only has another next hop, the program is told to use that; all else that
// differs is a problem.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "server/daemon/watch/default_route.h"
#include "server/daemon/watch/return_route.h"
#include "server/maps.h"

namespace trap::server {

// A client of the sample.
struct Sighting {
  trap_address client = {};
  RouteSource source = {}; // the service's
  unsigned interface = 0;  // by which it came: index
  LinkAddress from = {};
  bool completed = false; // a handshake; else it sent a SYN, which anybody may have
};

class ReturnWays {
public:
  // `is_same_link`: packets by the route's interface leave by the one that the client came by, as
  // those of a bridge leave by its port. now_ns: CLOCK_MONOTONIC.
  void note(std::uint64_t now_ns, const Sighting& sighting, const ReturnRoute& route,
            bool is_same_link, const RouteWish& told);

  // Forgets what the routing table has no more, as after a router's failure.
  using AskRoute = std::function<std::optional<ReturnRoute>(
      const trap_address& client, const RouteSource& source, const FrameWay& came)>;
  using AskTold = std::function<RouteWish(const trap_address& client)>;
  void renew(const AskRoute& ask, const AskTold& told);

  // Neighbours whose clients are all answered by another next hop, with a client of each. A SYN
  // counts only where the default route leads: its sender could name an address behind another
  // router, or of a neighbour, and would have everybody's answers sent there. A handshake proves.
  std::vector<trap_next_hop> next_hops(std::uint64_t now_ns) const;

  // One line for each difference that answers cannot follow.
  std::vector<std::string> problems(std::uint64_t now_ns) const;

  void forget() { ways_.clear(); }

private:
  // All clients that come by one neighbour and would be answered in one way.
  struct Way {
    unsigned interface = 0, route_interface = 0;
    LinkAddress from = {}, to = {};
    bool can_follow = false; // another next hop on the same link, or the same one
    bool is_default = false; // by the default route, so that nobody gains by a spoofed SYN
    std::string difference;  // empty: none
    trap_address example = {};
    RouteSource source = {};
    std::uint64_t last_ns = 0;
    std::uint64_t completed = 0;
    std::vector<std::uint64_t> syns_ns; // of the last minute
  };

  static std::uint64_t evidence_of(const Way& way);
  static bool is_recent(const Way& way, std::uint64_t now_ns);
  static std::size_t count_syns(const Way& way, std::uint64_t now_ns);
  std::size_t count_syns(std::uint64_t now_ns) const;

  std::map<std::string, Way> ways_; // by all that makes it one
};

} // namespace trap::server
