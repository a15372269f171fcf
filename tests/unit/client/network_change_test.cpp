// SPDX-License-Identifier: Apache-2.0
// Redirects that a change of network makes stale: another network behind the same local address,
// and the small changes of a network that stays.
#include "client/daemon/redirects/network_change.h"

#include <gtest/gtest.h>

#include "runtime/config/endpoint.h"

namespace trap::test {
namespace {

using namespace client;

trap_address at(const char* text) {
  return *parse_address(text);
}

constexpr LinkAddress router = {2, 0, 0, 0, 0, 1}, other_router = {2, 0, 0, 0, 0, 2};

// Interface 2, an uplink, and interface 3, a LAN's.
HostNetworks at_home() {
  HostNetworks networks;
  networks.interfaces[2] = {.carrier_changes = 1,
                            .addresses = {at("192.0.2.2"), at("2001:db8:2::2")},
                            .gateways = {{at("192.0.2.1"), router}, {at("fe80::1"), std::nullopt}}};
  networks.interfaces[3] = {.carrier_changes = 5, .addresses = {at("10.0.0.1")}, .gateways = {}};
  return networks;
}

NetworkChange after(const auto& change) {
  HostNetworks now = at_home();
  change(now);
  return compare_networks(at_home(), now, {2});
}

std::size_t stale(const NetworkChange& change) {
  return change.any() ? change.addresses.size() : 0;
}

TEST(NetworkChange, nothing_is_stale_while_nothing_changes) {
  const NetworkChange change = after([](HostNetworks&) {});
  EXPECT_FALSE(change.any());
  EXPECT_FALSE(change.of_others);
  EXPECT_TRUE(change.addresses.empty());
}

TEST(NetworkChange, a_carrier_that_was_away_may_bring_another_network) {
  const NetworkChange change =
      after([](HostNetworks& now) { now.interfaces[2].carrier_changes = 3; });
  EXPECT_EQ(change.why, "carrier");
  EXPECT_EQ(stale(change), 2u);
  EXPECT_TRUE(change.of_others);
}

TEST(NetworkChange, of_a_lan_concerns_no_host_behind_another_uplink) {
  const NetworkChange change =
      after([](HostNetworks& now) { now.interfaces[3].carrier_changes = 6; });
  EXPECT_EQ(stale(change), 1u);
  EXPECT_FALSE(change.of_others);
}

TEST(NetworkChange, another_gateway_is_another_network) {
  EXPECT_EQ(stale(after([](HostNetworks& now) {
              now.interfaces[2].gateways[0].address = at("192.0.2.254");
            })),
            2u);
  EXPECT_EQ(stale(after([](HostNetworks& now) { now.interfaces[2].gateways.pop_back(); })), 2u);
  EXPECT_EQ(stale(after([](HostNetworks& now) {
              now.interfaces[2].gateways.push_back({at("192.0.2.9"), std::nullopt});
            })),
            2u);
}

TEST(NetworkChange, the_same_gateway_with_another_link_layer_address_is_another) {
  const NetworkChange change =
      after([](HostNetworks& now) { now.interfaces[2].gateways[0].mac = other_router; });
  EXPECT_EQ(change.why, "link-layer address of the gateway");
  EXPECT_EQ(stale(change), 2u);
}

TEST(NetworkChange, a_link_layer_address_that_the_kernel_forgets_is_kept) {
  HostNetworks now = at_home();
  now.interfaces[2].gateways[0].mac.reset();
  now.interfaces[2].gateways[1].mac = router; // not known before
  EXPECT_FALSE(compare_networks(at_home(), now, {2}).any());
  EXPECT_EQ(now.interfaces[2].gateways[0].mac, router);
  HostNetworks later = at_home();
  later.interfaces[2].gateways[0].mac = other_router;
  EXPECT_TRUE(compare_networks(now, later, {2}).any());
}

TEST(NetworkChange, an_address_that_went_is_stale_alone) {
  const NetworkChange change =
      after([](HostNetworks& now) { now.interfaces[2].addresses.pop_back(); });
  EXPECT_EQ(change.why, "address");
  ASSERT_EQ(stale(change), 1u);
  const trap_address gone = at("2001:db8:2::2");
  EXPECT_TRUE(trap_address_equal(&change.addresses[0], &gone));
  EXPECT_FALSE(change.of_others);
  EXPECT_FALSE(after([](HostNetworks& now) {
                 now.interfaces[2].addresses.push_back(at("192.0.2.3"));
               }).any());
}

TEST(NetworkChange, an_interface_that_went_takes_its_redirects_along) {
  const NetworkChange change = after([](HostNetworks& now) { now.interfaces.erase(2); });
  EXPECT_EQ(stale(change), 2u);
  EXPECT_TRUE(change.of_others);
  EXPECT_FALSE(after([](HostNetworks& now) { now.interfaces[9].carrier_changes = 7; }).any());
}

TEST(SleepWatch, sees_that_the_host_slept_and_no_small_difference) {
  constexpr std::int64_t s = 1'000'000'000, us = 1000;
  for (const std::int64_t apart : {9 * s, std::int64_t{0}}) { // it may have slept before
    SleepWatch watch;
    const auto slept = [&](std::int64_t monotonic_ns, std::int64_t ahead_ns) {
      return watch.slept({.boottime_ns = monotonic_ns + ahead_ns, .monotonic_ns = monotonic_ns});
    };
    EXPECT_FALSE(slept(1 * s, apart));
    EXPECT_FALSE(slept(2 * s, apart + 100 * us));
    EXPECT_FALSE(slept(3 * s, apart - 1 * us)) << "one clock was read after the other";
    EXPECT_FALSE(slept(4 * s, apart + 1 * us));
    EXPECT_FALSE(slept(5 * s, apart));
    EXPECT_TRUE(slept(6 * s, apart + 3 * s));
    EXPECT_FALSE(slept(7 * s, apart + 3 * s));
  }
}

} // namespace
} // namespace trap::test
