// SPDX-License-Identifier: Apache-2.0
// The way back, asked of a real routing table: with one next hop, and with several.
#include <cstdlib>
#include <net/if.h>

#include <gmock/gmock.h>

#include "server/daemon/watch/default_route.h"
#include "server/daemon/watch/return_route.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using server::find_return_route;
using server::FrameWay;
using server::RouteSource;

constexpr LinkAddress first_mac = {2, 0, 0, 0, 0, 1}, second_mac = {2, 0, 0, 0, 0, 2},
                      third_mac = {2, 0, 0, 0, 0, 3}, strange_mac = {2, 0, 0, 0, 0, 9};

// Two uplinks: routers one and two by the first, three by the second.
class ReturnRouteTest : public OwnNetwork {
protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    if (IsSkipped())
      return;
    run("ip link add up0 type veth peer name peer0");
    run("ip link add up1 type veth peer name peer1");
    for (const std::string name : {"up0", "up1", "peer0", "peer1"})
      run("ip link set " + name + " up");
    run("ip address add 203.0.113.10/24 dev up0");
    run("ip address add 198.51.100.10/24 dev up1");
    run("ip address add 2001:db8:1::10/64 dev up0 nodad");
    run("ip address add 2001:db8:2::10/64 dev up1 nodad");
    neighbour("203.0.113.1", "up0", 1);
    neighbour("203.0.113.2", "up0", 2);
    neighbour("198.51.100.1", "up1", 3);
    neighbour("2001:db8:1::1", "up0", 1);
    neighbour("2001:db8:1::2", "up0", 2);
    neighbour("2001:db8:2::1", "up1", 3);
  }

  static void run(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  static void neighbour(const std::string& address, const std::string& device, int number) {
    run("ip neigh replace " + address + " lladdr 02:00:00:00:00:0" + std::to_string(number) +
        " dev " + device + " nud permanent");
  }

  // The MAC to which a client's answers go, if its frames come from `from`.
  static std::optional<LinkAddress> next_hop(const std::string& client, const LinkAddress& from,
                                             const char* by = "up0") {
    const bool is_v4 = client.find(':') == std::string::npos;
    const auto route = find_return_route(
        *parse_address(client), {*parse_address(is_v4 ? "203.0.113.10" : "2001:db8:1::10"), mark},
        {if_nametoindex(by), from});
    is_default = route && route->is_default;
    interface = route ? route->interface : 0;
    return route ? route->mac : std::nullopt;
  }

  static inline std::uint32_t mark = 0; // of the listener
  static inline bool is_default = false;
  static inline unsigned interface = 0;
};

TEST_F(ReturnRouteTest, of_one_next_hop_is_that_one) {
  run("ip route add default via 203.0.113.1");
  run("ip -6 route add default via 2001:db8:1::1");
  for (const std::string client : {"192.0.2.7", "2001:db8:9::7"})
    for (const LinkAddress& from : {first_mac, second_mac, strange_mac}) {
      EXPECT_EQ(next_hop(client, from), first_mac) << client;
      EXPECT_TRUE(is_default) << client;
    }
}

TEST_F(ReturnRouteTest, of_several_next_hops_is_the_one_that_the_frame_came_from) {
  run("ip route add default nexthop via 203.0.113.1 nexthop via 203.0.113.2 "
      "nexthop via 198.51.100.1");
  run("ip -6 route add default nexthop via 2001:db8:1::1 nexthop via 2001:db8:1::2 "
      "nexthop via 2001:db8:2::1");
  for (const std::string net : {"192.0.2.", "2001:db8:9::"})
    for (int i = 1; i < 33; i++) { // the kernel spreads them
      const std::string client = net + std::to_string(i);
      EXPECT_EQ(next_hop(client, first_mac), first_mac) << client;
      EXPECT_TRUE(is_default) << client;
      EXPECT_EQ(next_hop(client, second_mac), second_mac) << client;
      EXPECT_TRUE(is_default) << client;
      EXPECT_EQ(next_hop(client, third_mac, "up1"), third_mac) << client;
      EXPECT_EQ(interface, if_nametoindex("up1")) << client;
    }
}

TEST_F(ReturnRouteTest, of_a_group_of_next_hops_is_the_one_that_the_frame_came_from) {
  run("ip nexthop add id 1 via 203.0.113.1 dev up0");
  run("ip nexthop add id 2 via 203.0.113.2 dev up0");
  run("ip nexthop add id 3 group 1/2");
  run("ip route add default nhid 3");
  for (int i = 1; i < 33; i++) {
    const std::string client = "192.0.2." + std::to_string(i);
    EXPECT_EQ(next_hop(client, first_mac), first_mac) << client;
    EXPECT_EQ(next_hop(client, second_mac), second_mac) << client;
  }
}

TEST_F(ReturnRouteTest, of_ipv4_through_ipv6_routers_is_the_one_that_the_frame_came_from) {
  run("ip -4 route add default nexthop via inet6 2001:db8:1::1 dev up0 "
      "nexthop via inet6 2001:db8:1::2 dev up0");
  for (int i = 1; i < 33; i++) {
    const std::string client = "192.0.2." + std::to_string(i);
    EXPECT_EQ(next_hop(client, first_mac), first_mac) << client;
    EXPECT_EQ(next_hop(client, second_mac), second_mac) << client;
  }
}

TEST_F(ReturnRouteTest, does_not_lead_to_a_stranger_nor_make_a_prefix_the_default) {
  run("ip route add default via 198.51.100.1");
  run("ip route add 192.0.2.0/24 nexthop via 203.0.113.1 nexthop via 203.0.113.2");
  for (int i = 1; i < 33; i++) {
    const std::string client = "192.0.2." + std::to_string(i);
    EXPECT_THAT(next_hop(client, strange_mac), testing::AnyOf(first_mac, second_mac)) << client;
    EXPECT_EQ(next_hop(client, first_mac), first_mac) << client;
    EXPECT_FALSE(is_default) << client;
  }
}

// Rules lead the service's answers by its address, and those of a marked listener by its mark.
TEST_F(ReturnRouteTest, is_that_of_the_rules_for_the_service_and_its_mark) {
  run("ip route add default via 203.0.113.1");
  run("ip route add default via 203.0.113.2 advmss 1300 hoplimit 99 table 100");
  run("ip route add default via 198.51.100.1 mtu 1400 table 101");
  run("ip -6 route add default via 2001:db8:1::1");
  run("ip -6 route add default via 2001:db8:1::2 advmss 1280 table 100");
  run("ip -6 route add default via 2001:db8:2::1 table 101");
  EXPECT_FALSE(server::has_routing_rules());
  for (const std::string family : {"-4", "-6"}) {
    run("ip " + family + " rule add from " + (family == "-4" ? "203.0.113.10" : "2001:db8:1::10") +
        " priority 200 lookup 100");
    EXPECT_TRUE(server::has_routing_rules());
    run("ip " + family + " rule add fwmark 7 priority 100 lookup 101");
  }
  for (const std::string client : {"192.0.2.7", "2001:db8:9::7"}) {
    EXPECT_EQ(next_hop(client, strange_mac), second_mac) << client;
    EXPECT_TRUE(is_default) << client;
    mark = 7;
    EXPECT_EQ(next_hop(client, strange_mac), third_mac) << client;
    mark = 0;
  }
  const auto wishes = [](const std::vector<server::RouteSource>& sources,
                         const std::vector<std::string>& interfaces = {"up0", "up1"}) {
    return server::default_route_wishes(interfaces, sources);
  };
  const RouteSource ipv4 = {*parse_address("203.0.113.10"), 0},
                    ipv6 = {*parse_address("2001:db8:1::10"), 0}, marked = {ipv4.address, 7},
                    any = {trap_address_v4(0), 0};
  EXPECT_EQ(wishes({any}).ipv4, server::RouteWish{});
  EXPECT_EQ(wishes({ipv4}).ipv4, (server::RouteWish{1300, 99}));
  EXPECT_EQ(wishes({ipv6}).ipv6, (server::RouteWish{1280, 0}));
  EXPECT_EQ(wishes({marked}, {"up1"}).ipv4, (server::RouteWish{1360, 0}));
  EXPECT_EQ(wishes({any, marked, ipv4}).ipv4, (server::RouteWish{1300, 99})) << "the least";
}

TEST_F(ReturnRouteTest, is_none_where_the_table_has_none) {
  EXPECT_EQ(next_hop("192.0.2.7", first_mac), std::nullopt);
  run("ip route add unreachable 192.0.2.0/24");
  EXPECT_EQ(next_hop("192.0.2.7", first_mac), std::nullopt);
}

} // namespace
} // namespace trap::test
