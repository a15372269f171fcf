// SPDX-License-Identifier: Apache-2.0
// Answers follow another next hop of the routing table where they can; the rest is a problem.
#include <gmock/gmock.h>

#include "runtime/config/endpoint.h"
#include "runtime/nanoseconds.h"
#include "server/daemon/watch/return_ways.h"

namespace trap::test {
namespace {

using server::ReturnRoute;
using server::ReturnWays;
using server::Sighting;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr LinkAddress one_router = {2, 0, 0, 0, 0, 1}, other_router = {2, 0, 0, 0, 0, 2};
constexpr unsigned uplink = 7;

Sighting client(int number, const LinkAddress& from, bool completed = true) {
  Sighting sighting;
  sighting.client = *parse_address("192.0.2." + std::to_string(number));
  sighting.source.address = *parse_address("203.0.113.10");
  sighting.interface = uplink;
  sighting.from = from;
  sighting.completed = completed;
  return sighting;
}

ReturnRoute route_by(const std::optional<LinkAddress>& mac, unsigned interface = uplink) {
  ReturnRoute route;
  route.interface = interface;
  route.mac = mac;
  route.is_default = true;
  return route;
}

const auto nothing_told = [](const trap_address&) { return server::RouteWish{}; };

struct ReturnWaysTest : testing::Test {
  void see(int number, const LinkAddress& from, const ReturnRoute& route, bool completed = true,
           bool is_same_link = true) {
    ways.note(now_ns, client(number, from, completed), route, is_same_link, {});
  }
  ReturnWays ways;
  std::uint64_t now_ns = ns_per_s;
};

TEST_F(ReturnWaysTest, that_agree_are_nothing_to_speak_of) {
  for (int i = 1; i < 9; i++)
    see(i, one_router, route_by(one_router));
  EXPECT_THAT(ways.next_hops(now_ns), IsEmpty());
  EXPECT_THAT(ways.problems(now_ns), IsEmpty());
}

TEST_F(ReturnWaysTest, by_another_next_hop_are_followed_from_the_second_client_on) {
  see(1, one_router, route_by(other_router));
  EXPECT_THAT(ways.next_hops(now_ns), IsEmpty());
  see(2, one_router, route_by(other_router), false);
  const auto hops = ways.next_hops(now_ns);
  ASSERT_THAT(hops, SizeIs(1));
  EXPECT_EQ(hops[0].interface_index, uplink);
  EXPECT_THAT(hops[0].from, testing::ElementsAreArray(one_router));
  EXPECT_THAT(hops[0].to, testing::ElementsAreArray(other_router));
  EXPECT_THAT(ways.problems(now_ns), IsEmpty());
  EXPECT_THAT(ways.next_hops(now_ns + 600 * ns_per_s), IsEmpty()) << "ten minutes without any";
}

// A flood from the addresses of a neighbour, which answers would be sent to.
TEST_F(ReturnWaysTest, follow_no_syns_from_addresses_that_the_default_route_does_not_lead_to) {
  ReturnRoute astray = route_by(other_router);
  astray.is_default = false;
  for (int i = 1; i < 100; i++)
    see(i, one_router, astray, false);
  EXPECT_THAT(ways.next_hops(now_ns), IsEmpty());
  EXPECT_THAT(ways.problems(now_ns), SizeIs(1));
  see(100, one_router, astray);
  see(101, one_router, astray);
  EXPECT_THAT(ways.next_hops(now_ns), SizeIs(1)) << "handshakes prove that it is so";
}

TEST_F(ReturnWaysTest, are_not_given_up_for_spoofed_syns) {
  constexpr int more_than_are_kept = 200;
  see(1, one_router, route_by(other_router));
  see(2, one_router, route_by(other_router));
  for (int i = 0; i < more_than_are_kept; i++) {
    ReturnRoute astray = route_by(LinkAddress{2, 0, 0, 0, 1, static_cast<std::uint8_t>(i)});
    astray.is_default = false;
    see(i, one_router, astray, false);
  }
  EXPECT_THAT(ways.next_hops(now_ns), SizeIs(1));
  see(3, other_router, route_by(one_router));
  see(4, other_router, route_by(one_router));
  EXPECT_THAT(ways.next_hops(now_ns), SizeIs(2)) << "they leave room for another";
}

// A router that failed takes its clients with it.
TEST_F(ReturnWaysTest, are_given_up_as_soon_as_the_routing_table_has_another) {
  see(1, one_router, route_by(other_router));
  see(2, one_router, route_by(other_router));
  ways.renew([](const auto&...) { return route_by(other_router); }, nothing_told);
  EXPECT_THAT(ways.next_hops(now_ns), SizeIs(1));
  ways.renew([](const auto&...) { return route_by(one_router); }, nothing_told);
  EXPECT_THAT(ways.next_hops(now_ns), IsEmpty());
}

TEST_F(ReturnWaysTest, of_clients_that_part_behind_one_router_are_a_problem) {
  for (int i = 1; i < 3; i++) {
    see(i, one_router, route_by(other_router));
    see(10 + i, one_router, route_by(one_router));
  }
  EXPECT_THAT(ways.next_hops(now_ns), IsEmpty()) << "it would lead the others astray";
  EXPECT_THAT(ways.problems(now_ns),
              ElementsAre(HasSubstr("clients such as 192.0.2.1 come from 02:00:00:00:00:01")));
}

TEST_F(ReturnWaysTest, by_another_interface_are_a_problem) {
  see(1, one_router, route_by(std::nullopt, 9), true, false);
  EXPECT_THAT(ways.problems(now_ns), IsEmpty()) << "one client may be anything";
  see(2, one_router, route_by(std::nullopt, 9), true, false);
  EXPECT_THAT(ways.problems(now_ns),
              ElementsAre(HasSubstr("the route to clients such as 192.0.2.1 leaves by")));
  EXPECT_THAT(ways.next_hops(now_ns), IsEmpty());
}

TEST_F(ReturnWaysTest, with_other_values_than_the_default_route_are_a_problem) {
  ReturnRoute route = route_by(one_router);
  for (const auto& [mss, hops, window, words] :
       {std::tuple{1300u, 0u, 0u, "asks for an MSS of 1300"}, std::tuple{0u, 9u, 0u, "hoplimit 9"},
        std::tuple{0u, 0u, 80u, "limits the first window"}}) {
    ways.forget();
    route.mss = mss;
    route.hops = hops;
    route.window = window;
    see(1, one_router, route);
    see(2, one_router, route);
    EXPECT_THAT(ways.problems(now_ns), ElementsAre(HasSubstr(words)));
    ways.renew([&](const auto&...) { return route; }, nothing_told);
    EXPECT_THAT(ways.problems(now_ns), SizeIs(1)) << "still so";
    ways.renew([](const auto&...) { return route_by(one_router); }, nothing_told);
    EXPECT_THAT(ways.problems(now_ns), IsEmpty()) << "as soon as the route is mended";
  }
}

// Anybody can send SYNs from addresses that lie elsewhere.
TEST_F(ReturnWaysTest, of_a_few_spoofed_syns_are_no_problem) {
  for (int i = 1; i < 30; i++)
    see(i, one_router, route_by(one_router), false);
  for (int i = 30; i < 36; i++)
    see(i, one_router, route_by(std::nullopt, 9), false, false);
  EXPECT_THAT(ways.problems(now_ns), IsEmpty());
  for (int i = 36; i < 42; i++)
    see(i, one_router, route_by(std::nullopt, 9), false, false);
  EXPECT_THAT(ways.problems(now_ns), SizeIs(1)) << "more than a fourth";
  EXPECT_THAT(ways.problems(now_ns + 60 * ns_per_s), IsEmpty()) << "a minute later";
}

} // namespace
} // namespace trap::test
