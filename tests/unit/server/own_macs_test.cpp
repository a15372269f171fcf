// SPDX-License-Identifier: Apache-2.0
// The Ethernet addresses of this host, and the table of them that the program reads.
#include "server/daemon/watch/own_macs.h"

#include <cstdlib>
#include <random>

#include <gmock/gmock.h>

#include "tests/unit/server/own_network.h"

namespace trap::server {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::set<LinkAddress> random_macs(std::size_t count) {
  std::mt19937 random(1);
  std::set<LinkAddress> macs;
  while (macs.size() < count) {
    LinkAddress mac;
    for (std::uint8_t& byte : mac)
      byte = static_cast<std::uint8_t>(random());
    macs.insert(mac);
  }
  return macs;
}

// As the program looks.
bool has(const trap_own_mac_table& table, const LinkAddress& mac) {
  std::uint64_t number = 0;
  std::copy(mac.begin(), mac.end(), reinterpret_cast<std::uint8_t*>(&number));
  for (const __u64 taken : table.macs[trap_own_mac_bucket(number, table.multiplier)])
    if (taken == (number | TRAP_OWN_MAC_TAKEN))
      return true;
  return false;
}

TEST(OwnMacTable, has_each_address_and_no_other) {
  for (const std::size_t count : {0U, 1U, 100U, 500U}) {
    const auto macs = random_macs(count);
    trap_own_mac_table table;
    ASSERT_TRUE(lay_out(macs, table)) << count;
    for (const LinkAddress& mac : macs)
      EXPECT_TRUE(has(table, mac));
    EXPECT_FALSE(has(table, {})) << "an empty place is no address of zeros";
  }
}

TEST(OwnMacTable, has_addresses_in_a_row) {
  std::set<LinkAddress> macs;
  for (int i = 0; i < 500; i++)
    macs.insert(
        {0x52, 0x54, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
  trap_own_mac_table table;
  EXPECT_TRUE(lay_out(macs, table));
}

TEST(OwnMacs, that_are_too_many_or_cannot_be_listed_switch_the_check_off_and_say_so) {
  trap_own_macs map = {};
  OwnMacs own;
  own.follow(map, random_macs(10));
  EXPECT_TRUE(own.are_known());
  EXPECT_THAT(own.problem(), IsEmpty());
  EXPECT_NE(map.active, 0U);
  own.follow(map, random_macs(100'000));
  EXPECT_EQ(map.active, 0U);
  EXPECT_THAT(own.problem(), HasSubstr("too many of its own (100000)"));
  own.follow(map, Error{"no list"});
  EXPECT_EQ(map.active, 0U);
  EXPECT_THAT(own.problem(), HasSubstr("no list"));
  own.follow(map, random_macs(10));
  EXPECT_NE(map.active, 0U);
  EXPECT_THAT(own.problem(), IsEmpty());
}

// A packet reads the table that `active` names while the daemon writes the next one.
TEST(OwnMacs, that_change_are_written_into_the_table_that_is_not_in_use) {
  trap_own_macs map = {};
  OwnMacs own;
  for (std::size_t count = 1; count < 10; count++) {
    const trap_own_macs before = map;
    own.follow(map, random_macs(count));
    ASSERT_NE(map.active, before.active);
    if (before.active)
      EXPECT_EQ(std::memcmp(&map.tables[before.active - 1], &before.tables[before.active - 1],
                            sizeof(trap_own_mac_table)),
                0);
    const trap_own_macs after = map;
    own.follow(map, random_macs(count));
    EXPECT_EQ(std::memcmp(&map, &after, sizeof map), 0) << "nothing has changed";
  }
}

class HostMacs : public test::OwnNetwork {
protected:
  static void ip(const std::string& words) { ASSERT_EQ(std::system(words.c_str()), 0) << words; }
  static std::set<LinkAddress> list() {
    auto macs = list_own_macs();
    EXPECT_TRUE(macs) << (macs ? "" : macs.error().message);
    return macs ? *macs : std::set<LinkAddress>();
  }
};

TEST_F(HostMacs, are_those_of_interfaces_and_what_these_take_besides) {
  EXPECT_THAT(list(), IsEmpty()) << "loopback has none";
  ip("ip link add e0 address 02:00:00:00:01:01 type veth peer name e1 address 02:00:00:00:01:02");
  ip("ip link add br0 address 02:00:00:00:01:03 type bridge");
  ip("ip link set e0 master br0");
  ip("ip link add link e1 name vrrp address 00:00:5e:00:01:07 type macvlan mode bridge");
  ip("bridge fdb add 02:00:00:00:01:05 dev e1 self");          // as of a macvlan of a container
  ip("bridge fdb add 02:00:00:00:01:06 dev e0 master static"); // of a host behind that port
  const auto macs = list();
  for (const LinkAddress& mac :
       {LinkAddress{2, 0, 0, 0, 1, 1}, LinkAddress{2, 0, 0, 0, 1, 2}, LinkAddress{2, 0, 0, 0, 1, 3},
        LinkAddress{0, 0, 0x5e, 0, 1, 7}, LinkAddress{2, 0, 0, 0, 1, 5}})
    EXPECT_THAT(macs, Contains(mac));
  EXPECT_THAT(macs, Not(Contains(LinkAddress{2, 0, 0, 0, 1, 6})));
}

} // namespace
} // namespace trap::server
