// SPDX-License-Identifier: Apache-2.0
// The choice of interfaces for XDP by names and patterns, and what such a choice leaves uncovered.
#include "runtime/net/interface_choice.h"

#include <gmock/gmock.h>
#include <linux/if_arp.h>

namespace trap {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Names = std::vector<std::string>;

HostInterface up(const std::string& name, unsigned index, const std::string& kind = "") {
  HostInterface interface;
  interface.name = name;
  interface.index = index;
  interface.type = ARPHRD_ETHER;
  interface.is_up = true;
  interface.kind = kind;
  return interface;
}

HostInterface port_of(HostInterface port, unsigned master, const std::string& kind) {
  port.master = master;
  port.slave_of = kind;
  return port;
}

HostInterface vlan_of(const std::string& name, unsigned index, unsigned lower) {
  HostInterface interface = up(name, index, "vlan");
  interface.lower = lower;
  return interface;
}

std::vector<HostInterface> host() {
  HostInterface lo = up("lo", 1);
  lo.is_loopback = true;
  HostInterface down = up("gre0", 9, "gre");
  down.is_up = false;
  return {lo,
          up("eth0", 2),
          vlan_of("eth0.5", 3, 2),
          up("br0", 4, "bridge"),
          port_of(up("eth1", 5), 4, "bridge"),
          port_of(up("vnet0", 6, "tun"), 4, "bridge"),
          up("vxlan0", 7, "vxlan"),
          up("dummy0", 8, "dummy"),
          down};
}

Names names_of(const std::vector<HostInterface>& interfaces) {
  Names names;
  for (const HostInterface& interface : interfaces)
    names.push_back(interface.name);
  return names;
}

// The harmful ones.
Names uncovered_by(const Names& attached, const std::vector<HostInterface>& all = host()) {
  Names names;
  for (const Uncovered& way : find_uncovered(all, attached, {})) {
    if (!way.is_harmless)
      names.push_back(way.interface);
  }
  return names;
}

TEST(ChoiceForXdp, a_star_is_each_interface_that_delivers_and_receives_up_or_down) {
  EXPECT_THAT(names_of(choose_for_xdp({"*"}, {}, host())),
              ElementsAre("eth0", "br0", "vxlan0", "gre0"));
}

TEST(ChoiceForXdp, a_name_counts_whatever_the_interface_is_like) {
  EXPECT_THAT(names_of(choose_for_xdp({"eth0", "eth0.5", "vnet0", "lo", "dummy0"}, {}, host())),
              ElementsAre("lo", "eth0", "eth0.5", "vnet0", "dummy0"));
}

TEST(ChoiceForXdp, an_exception_takes_a_vlan_s_program_away_with_that_below) {
  EXPECT_THAT(names_of(choose_for_xdp({"eth*"}, {"eth0"}, host())), ElementsAre("eth0.5"));
}

TEST(Uncovered, of_a_guard_at_one_interface_are_all_others_that_are_up) {
  EXPECT_THAT(uncovered_by({"eth0"}), ElementsAre("br0", "eth1", "vnet0", "vxlan0"));
}

TEST(Uncovered, is_nothing_where_each_way_in_has_a_program) {
  EXPECT_THAT(uncovered_by({"eth0", "br0", "vxlan0"}), IsEmpty());
  EXPECT_THAT(uncovered_by({"eth0", "eth1", "vnet0", "vxlan0"}), IsEmpty());
}

TEST(Uncovered, is_a_bridge_with_one_port_that_has_no_program) {
  EXPECT_THAT(uncovered_by({"eth0", "eth1", "vxlan0"}), ElementsAre("br0", "vnet0"));
}

TEST(Uncovered, is_a_vlan_with_nothing_below_it) {
  EXPECT_THAT(uncovered_by({"br0", "vxlan0"}), ElementsAre("eth0", "eth0.5"));
  EXPECT_THAT(uncovered_by({}, {vlan_of("eth0.5", 3, 0)}), ElementsAre("eth0.5"));
}

TEST(Uncovered, is_a_macvlan_even_if_the_interface_below_has_a_program) {
  HostInterface macvlan = up("mv0", 3, "macvlan");
  macvlan.lower = 2;
  EXPECT_THAT(uncovered_by({"eth0"}, {up("eth0", 2), macvlan}), ElementsAre("mv0"));
}

TEST(Uncovered, names_a_dummy_and_calls_it_harmless) {
  const auto ways = find_uncovered({up("dummy0", 8, "dummy")}, {}, {});
  ASSERT_EQ(ways.size(), 1U);
  EXPECT_EQ(ways[0].interface, "dummy0");
  EXPECT_TRUE(ways[0].is_harmless);
}

TEST(Uncovered, gives_the_reason_of_a_refusal) {
  const auto ways = find_uncovered({up("eth0", 2)}, {}, {{"eth0", "its driver has no XDP"}});
  ASSERT_EQ(ways.size(), 1U);
  EXPECT_EQ(ways[0].reason, "its driver has no XDP");
}

} // namespace
} // namespace trap
