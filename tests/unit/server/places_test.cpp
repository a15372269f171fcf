// SPDX-License-Identifier: Apache-2.0
// The layout of the service table: as many as there may be find room within the probes, whatever
// addresses a site has.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "server/maps.h"

namespace trap::test {
namespace {

trap_address v4(std::uint32_t address) {
  return trap_address_v4(TRAP_BE32(address));
}

trap_address v6(std::uint64_t network, std::uint64_t host) {
  trap_address address = {};
  address.raw64[0] = __builtin_bswap64(network);
  address.raw64[1] = __builtin_bswap64(host);
  return address;
}

struct Key {
  trap_address address;
  int port;
};

// How far from home the unluckiest key lies if each takes the first free place.
int longest_way(const std::function<Key(std::uint32_t)>& key_of) {
  std::vector<bool> taken(TRAP_PLACES);
  int longest = 0;
  for (std::uint32_t i = 0; i < TRAP_SERVER_MAX_SERVICES - 1; i++) {
    const Key key = key_of(i);
    for (const int port :
         {key.port, 0}) { // each with an address of its own, which needs a place too
      std::uint32_t at = trap_place_of(&key.address, TRAP_BE16(port));
      int way = 1;
      for (; taken[at]; way++)
        at = (at + 1) % TRAP_PLACES;
      taken[at] = true;
      longest = std::max(longest, way);
    }
  }
  return longest;
}

TEST(Places, are_within_the_table) {
  for (std::uint32_t i = 0; i < 100'000; i++) {
    const trap_address address = v6(i * 0x9e3779b97f4a7c15ULL, ~i * 0xff51afd7ed558ccdULL);
    ASSERT_LT(trap_place_of(&address, static_cast<__be16>(i)), static_cast<__u32>(TRAP_PLACES));
  }
}

TEST(Places, are_found_within_the_probes_at_sites_of_every_sort) {
  const std::pair<const char*, std::function<Key(std::uint32_t)>> sites[] = {
      {"a /24 with one port",
       [](std::uint32_t i) {
         return Key{v4(0xcb007100 + i), 80};
       }},
      {"a /24 with https",
       [](std::uint32_t i) {
         return Key{v4(0xcb007100 + i), 443};
       }},
      {"one address of each /24",
       [](std::uint32_t i) {
         return Key{v4(0xc6120001 + (i << 8)), 443};
       }},
      {"one address of each /16",
       [](std::uint32_t i) {
         return Key{v4(0x0a000001 + (i << 16)), 443};
       }},
      {"a /120",
       [](std::uint32_t i) {
         return Key{v6(0x20010db801130000, i), 443};
       }},
      {"one address of each /64",
       [](std::uint32_t i) {
         return Key{v6(0x20010db801130000 + i, 1), 443};
       }},
      {"one address of each /48",
       [](std::uint32_t i) {
         return Key{v6(0x20010db800000000 + (std::uint64_t{i} << 16), 1), 443};
       }},
      {"privacy addresses",
       [](std::uint32_t i) {
         return Key{v6(0x20010db801130000, i * 0x9e3779b97f4a7c15ULL), 443};
       }},
  };
  for (const auto& [name, key_of] : sites)
    EXPECT_LE(longest_way(key_of), TRAP_PLACE_PROBES) << name;
}

TEST(Places, of_one_address_with_many_ports_are_within_the_probes) {
  for (const trap_address& address : {v4(0xcb00710a), v6(0x20010db801130000, 0x10)}) {
    std::vector<bool> taken(TRAP_PLACES);
    for (int port = 0; port < TRAP_SERVER_MAX_SERVICES; port++) {
      std::uint32_t at = trap_place_of(&address, TRAP_BE16(port == 0 ? 0 : 8000 + port));
      int way = 1;
      for (; taken[at]; way++)
        at = (at + 1) % TRAP_PLACES;
      taken[at] = true;
      ASSERT_LE(way, TRAP_PLACE_PROBES) << port;
    }
  }
}

} // namespace
} // namespace trap::test
