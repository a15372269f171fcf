// SPDX-License-Identifier: Apache-2.0
// Placing services in the table that packets search: after any change a packet finds what is wanted
// and nothing else, and half-way through the writes it still finds what stays.
#include <gtest/gtest.h>

#include <random>

#include "server/daemon/plan/service_table.h"

namespace trap::test {
namespace {

using server::change_places;
using server::PlacedServices;
using server::PlaceTable;
using server::PlaceWrite;

// As a program searches (server/bpf/packet_context.bpf.h); -1: none.
long search(const PlaceTable& table, const Endpoint& key) {
  std::uint32_t at = trap_place_of(&key.address, TRAP_BE16(key.port));
  for (int probe = 0; probe < TRAP_PLACE_PROBES; probe++, at = (at + 1) % TRAP_PLACES) {
    const trap_place& place = table[at];
    if (place.state == TRAP_PLACE_NEVER_TAKEN)
      return -1;
    if (place.state == TRAP_PLACE_TAKEN && place.port == TRAP_BE16(key.port) &&
        trap_address_equal(&place.address, &key.address))
      return place.slot;
  }
  return -1;
}

Endpoint endpoint(std::uint32_t address, std::uint16_t port) {
  return {trap_address_v4(TRAP_BE32(address)), port};
}

// Keys whose searches all begin at the same place.
std::vector<Endpoint> keys_with_one_home(std::size_t count) {
  std::vector<Endpoint> keys = {endpoint(1, 80)};
  const std::uint32_t home = trap_place_of(&keys[0].address, TRAP_BE16(80));
  for (std::uint32_t address = 2; keys.size() < count; address++) {
    const Endpoint key = endpoint(address, 80);
    if (trap_place_of(&key.address, TRAP_BE16(80)) == home)
      keys.push_back(key);
  }
  return keys;
}

// Writes one by one; after each, what was there before and stays must be found.
void apply(PlaceTable& table, const PlacedServices& before, const PlacedServices& wanted) {
  const auto changes = change_places(table, wanted);
  ASSERT_TRUE(changes) << changes.error().message;
  auto write = [&](const PlaceWrite& change) {
    table[change.place] = change.value;
    for (const auto& [key, slot] : wanted) {
      if (before.contains(key))
        ASSERT_EQ(search(table, key), slot) << format_endpoint(key);
    }
  };
  for (const PlaceWrite& change : changes->added)
    write(change);
  for (const PlaceWrite& change : changes->removed)
    write(change);
  for (const auto& [key, slot] : wanted)
    ASSERT_EQ(search(table, key), slot) << format_endpoint(key);
  for (const auto& [key, slot] : before) {
    if (!wanted.contains(key))
      ASSERT_EQ(search(table, key), -1) << format_endpoint(key);
  }
}

TEST(ServicePlaces, of_random_changes_lead_every_packet_right) {
  std::mt19937 random(7);
  PlaceTable table(TRAP_PLACES);
  PlacedServices before;
  // A few homes only, so that searches pass others' places.
  const std::vector<Endpoint> keys = keys_with_one_home(7);
  for (int round = 0; round < 300; round++) {
    PlacedServices wanted;
    for (std::size_t i = 0; i < keys.size(); i++) {
      if (random() % 2)
        wanted[keys[i]] = static_cast<std::uint32_t>(i + 1);
    }
    for (std::uint32_t i = 0; i < 40; i++) {
      if (random() % 2)
        wanted[endpoint(0xc0000200 + i % 8, static_cast<std::uint16_t>(1000 + i))] = 100 + i;
    }
    ASSERT_NO_FATAL_FAILURE(apply(table, before, wanted)) << round;
    before = wanted;
  }
  ASSERT_NO_FATAL_FAILURE(apply(table, before, {}));
  for (const trap_place& place : table)
    ASSERT_EQ(place.state,
              TRAP_PLACE_NEVER_TAKEN); // nothing is left behind that would make searches longer
}

TEST(ServicePlaces, stay_where_they_are) {
  const std::vector<Endpoint> keys = keys_with_one_home(3);
  PlaceTable table(TRAP_PLACES);
  const PlacedServices all = {{keys[0], 1}, {keys[1], 2}, {keys[2], 3}};
  ASSERT_NO_FATAL_FAILURE(apply(table, {}, all));
  const auto nothing = change_places(table, all);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->added.empty());
  EXPECT_TRUE(nothing->removed.empty());
  PlacedServices without_first = all;
  without_first.erase(keys[0]);
  const auto change = change_places(table, without_first);
  ASSERT_TRUE(change);
  EXPECT_TRUE(change->added.empty());
  ASSERT_EQ(change->removed.size(), 1u);
  EXPECT_EQ(change->removed[0].value.state, TRAP_PLACE_LEFT);
}

TEST(ServicePlaces, that_are_too_many_for_one_home_are_refused) {
  PlacedServices wanted;
  std::uint32_t slot = 0;
  for (const Endpoint& key : keys_with_one_home(TRAP_PLACE_PROBES + 1))
    wanted[key] = ++slot;
  EXPECT_FALSE(change_places(PlaceTable(TRAP_PLACES), wanted));
}

TEST(ServicePlaces, hold_each_address_once_more_for_packets_without_ports) {
  const auto placed =
      server::placed_services({{endpoint(1, 80), 5}, {endpoint(1, 81), 6}, {endpoint(2, 80), 7}});
  EXPECT_EQ(placed.size(), 5u);
  EXPECT_EQ(placed.at(endpoint(1, 0)), 0u);
  PlaceTable table(TRAP_PLACES);
  ASSERT_NO_FATAL_FAILURE(apply(table, {}, placed));
  EXPECT_EQ(server::services_in(table).size(), 3u);
}

} // namespace
} // namespace trap::test
