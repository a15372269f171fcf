// SPDX-License-Identifier: Apache-2.0
// Interfaces that get filters: by name, by pattern, and the exceptions of patterns.
#include "client/daemon/interfaces/interface_plan.h"

#include <gmock/gmock.h>
#include <linux/if_arp.h>

namespace trap::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

HostInterface ethernet(const std::string& name, unsigned index) {
  return {.name = name, .index = index, .type = ARPHRD_ETHER, .is_up = true};
}

std::vector<HostInterface> host() {
  std::vector<HostInterface> links = {
      {.name = "lo", .index = 1, .type = ARPHRD_LOOPBACK, .is_up = true, .is_loopback = true},
      ethernet("eth0", 2),
      ethernet("eth1", 3),
      ethernet("br0", 4),
      ethernet("veth7", 5),
      {.name = "tun0", .index = 6, .type = ARPHRD_NONE, .is_up = true},
      {.name = "ppp0", .index = 7, .type = ARPHRD_PPP, .is_up = true},
      {.name = "ib0", .index = 8, .type = ARPHRD_INFINIBAND, .is_up = true},
      ethernet("vrfport", 9)};
  links[2].is_up = false;
  links[3].kind = "bridge";
  links[4].master = 4;
  links[4].slave_of = "bridge";
  links[8].slave_of = "vrf";
  return links;
}

ClientConfig config_of(std::vector<std::string> interfaces, std::vector<std::string> lan = {},
                       std::vector<std::string> except = {}) {
  ClientConfig config;
  config.part.interfaces = std::move(interfaces);
  config.lan = std::move(lan);
  config.part.except = std::move(except);
  return config;
}

std::vector<std::string> names_of(const InterfacePlan& plan) {
  std::vector<std::string> names;
  for (const PlannedInterface& interface : plan.interfaces)
    names.push_back(interface.name);
  return names;
}

TEST(InterfacePlan, a_name_counts_whatever_the_interface_is_like) {
  const auto plan = plan_interfaces(config_of({"eth1", "lo", "veth7"}), host());
  EXPECT_THAT(names_of(plan), ElementsAre("lo", "eth1", "veth7"));
  EXPECT_THAT(plan.problems, IsEmpty());
}

TEST(InterfacePlan, a_star_is_every_interface_that_is_up_and_delivers_packets) {
  const auto plan = plan_interfaces(config_of({"*"}), host());
  EXPECT_THAT(names_of(plan), ElementsAre("eth0", "br0", "tun0", "ppp0", "vrfport"));
  EXPECT_THAT(plan.problems, IsEmpty()) << "ib0 was not asked for";
}

TEST(InterfacePlan, patterns_leave_out_what_is_excepted) {
  EXPECT_THAT(names_of(plan_interfaces(config_of({"*"}, {}, {"tun*", "br0"}), host())),
              ElementsAre("eth0", "ppp0", "vrfport"));
  EXPECT_THAT(names_of(plan_interfaces(config_of({"eth?", "tun0"}, {}, {"tun*"}), host())),
              ElementsAre("eth0", "tun0"));
}

TEST(InterfacePlan, framing_follows_the_link_layer) {
  const auto plan = plan_interfaces(config_of({"eth0", "tun0", "ppp0"}), host());
  ASSERT_EQ(plan.interfaces.size(), 3u);
  EXPECT_EQ(plan.interfaces[0], (PlannedInterface{"eth0", 2, Side::host, Framing::ethernet}));
  EXPECT_EQ(plan.interfaces[1], (PlannedInterface{"tun0", 6, Side::host, Framing::ip}));
  EXPECT_EQ(plan.interfaces[2], (PlannedInterface{"ppp0", 7, Side::host, Framing::ip}));
}

std::vector<std::string> names_of_lan(const InterfacePlan& plan) {
  std::vector<std::string> names;
  for (const PlannedInterface& interface : plan.interfaces) {
    if (interface.side == Side::lan)
      names.push_back(interface.name);
  }
  return names;
}

TEST(InterfacePlan, lan_goes_before_interfaces_and_a_bridge_stands_for_its_ports) {
  const auto plan = plan_interfaces(config_of({"*"}, {"br0", "tun0"}), host());
  EXPECT_THAT(names_of_lan(plan), ElementsAre("veth7", "tun0"));
  EXPECT_THAT(names_of(plan), ElementsAre("eth0", "veth7", "tun0", "ppp0", "vrfport"));
  EXPECT_THAT(plan.problems, IsEmpty());
}

TEST(InterfacePlan, ports_of_a_bridge_may_be_named_by_themselves) {
  EXPECT_THAT(names_of_lan(plan_interfaces(config_of({"br0"}, {"veth*"}), host())),
              ElementsAre("veth7"));
  EXPECT_THAT(names_of_lan(plan_interfaces(config_of({"*"}, {"br*"}, {"veth*"}), host())),
              IsEmpty());
}

TEST(InterfacePlan, a_name_that_is_not_there_or_cannot_be_read_is_a_problem) {
  const auto config = config_of({"eth0", "wg0", "ib0", "nothing*"}, {"lan9"});
  const auto plan = plan_interfaces(config, host());
  EXPECT_THAT(names_of(plan), ElementsAre("eth0"));
  EXPECT_THAT(plan.problems,
              ElementsAre(HasSubstr("ib0 has a link layer"), HasSubstr("wg0 is not there"),
                          HasSubstr("lan9 is not there")));
  EXPECT_THAT(plan.missing, ElementsAre("ib0", "wg0", "lan9"));
}

} // namespace
} // namespace trap::client
