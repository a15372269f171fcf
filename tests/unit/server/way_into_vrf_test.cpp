// SPDX-License-Identifier: Apache-2.0
// The devices of a host by which packets of the daemon's interface come into a VRF.
#include <gtest/gtest.h>

#include "server/daemon/state/way_into_vrf.h"

namespace trap::test {
namespace {

using server::find_way_into_vrf;
using Interfaces = std::vector<HostInterface>;

constexpr unsigned red = 90, blue = 91;

HostInterface device(std::string name, unsigned index, std::string kind = "", unsigned lower = 0) {
  return {.name = std::move(name), .index = index, .kind = std::move(kind), .lower = lower};
}

HostInterface in(HostInterface interface, unsigned master, std::string kind = "vrf") {
  interface.master = master;
  interface.slave_of = std::move(kind);
  return interface;
}

// eth0, two VRFs, and more.
Interfaces host_with(const Interfaces& more, const HostInterface& eth0 = device("eth0", 2)) {
  Interfaces all = {device("lo", 1), eth0, device("red", red, "vrf"), device("blue", blue, "vrf")};
  all.front().is_loopback = true;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string way(const Interfaces& all, const std::vector<std::string>& holders = {},
                const std::vector<std::string>& attached = {"eth0"}) {
  return find_way_into_vrf(all, attached, holders);
}

TEST(WayIntoVrf, is_the_interface_itself) {
  EXPECT_EQ(way(host_with({})), "");
  EXPECT_EQ(way(host_with({}, in(device("eth0", 2), red))), "eth0");
  EXPECT_EQ(way(host_with({device("eth1", 3)}, in(device("eth0", 2), red)), {"eth1"}), "eth0");
  EXPECT_EQ(way(host_with({}, in(device("eth0", 2), red)), {}, {"eth1"}), "");
}

TEST(WayIntoVrf, is_any_device_upon_it) {
  for (const char* kind : {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"})
    EXPECT_EQ(way(host_with({in(device("up0", 7, kind, 2), red)}), {"up0"}), "up0 (upon eth0)")
        << kind;
  for (const char* kind : {"bridge", "bond", "team"})
    EXPECT_EQ(
        way(host_with({in(device("up0", 7, kind), red)}, in(device("eth0", 2), 7, kind)), {"up0"}),
        "up0 (upon eth0)")
        << kind;
}

TEST(WayIntoVrf, goes_through_every_layer) {
  const Interfaces layers = host_with({device("bond0", 7, "bond"), device("vlan7", 8, "vlan", 7),
                                       in(device("mac0", 9, "macvlan", 8), red)},
                                      in(device("eth0", 2), 7, "bond"));
  EXPECT_EQ(way(layers, {"mac0"}), "mac0 (upon eth0)");
  Interfaces reversed(layers.rbegin(), layers.rend());
  EXPECT_EQ(way(reversed, {"mac0"}), "mac0 (upon eth0)");
  EXPECT_EQ(way(layers, {"mac0"}, {"vlan7"}), "mac0 (upon vlan7)");
}

TEST(WayIntoVrf, is_not_what_has_packets_of_its_own) {
  for (const char* kind : {"veth", "vxlan", "ipip", "gre", "macsec", ""})
    EXPECT_EQ(way(host_with({in(device("up0", 7, kind, 2), red)})), "") << kind;
  EXPECT_EQ(way(host_with({device("up0", 7, "vlan", 2), in(device("eth1", 3), red)})), "");
  EXPECT_EQ(way(host_with({in(device("up0", 7, "vlan", 3), red), device("eth1", 3)})), "");
}

TEST(WayIntoVrf, is_that_of_the_service_s_address) {
  const Interfaces two =
      host_with({in(device("vlan7", 7, "vlan", 2), red), in(device("vlan8", 8, "vlan", 2), blue),
                 device("vlan9", 9, "vlan", 2)});
  EXPECT_EQ(way(two, {"vlan8"}), "vlan8 (upon eth0)");
  EXPECT_EQ(way(two, {"vlan9"}), "");
  EXPECT_EQ(way(two, {"eth0"}), "");
  EXPECT_EQ(way(two, {"blue"}), "vlan8 (upon eth0)"); // a VRF's own address
  EXPECT_EQ(way(two, {"vlan9", "vlan8"}), "vlan8 (upon eth0)");
  EXPECT_EQ(way(two, {"lo"}), "vlan7 (upon eth0)");
  EXPECT_EQ(way(two, {}), "vlan7 (upon eth0)"); // a local route alone
}

TEST(WayIntoVrf, ends_where_devices_lie_upon_each_other) {
  EXPECT_EQ(
      way(host_with({device("a", 7, "vlan", 8), device("b", 8, "vlan", 7)}, device("eth0", 2))),
      "");
  EXPECT_EQ(way({device("eth0", 2, "vlan", 2)}), "");
}

} // namespace
} // namespace trap::test
