// SPDX-License-Identifier: Apache-2.0
// Addresses: both families in one form, masks at every length, and which targets a redirect may
// name.
#include "protocol/address.h"

#include <gtest/gtest.h>

#include "client/targets.h"
#include "tests/support/vectors.h"

namespace trap::test {
namespace {

TEST(Address, masks_at_every_length) {
  const Json vectors = read_json("addresses.json");
  ASSERT_EQ(vectors["masked"].size(), 33u + 129u);
  for (const Json& v : vectors["masked"]) {
    const Address address = read_address(v["address"]);
    const Address masked = {trap_address_mask(address.value, address.family, v["scope"]),
                            address.family};
    EXPECT_EQ(to_hex(wire_bytes(masked)), v["masked"].get<std::string>()) << v;
  }
}

TEST(Address, masking_keeps_an_ipv4_address_one) {
  const Address address = read_address("203.0.113.255");
  for (__u32 scope = 0; scope <= 32; scope++) {
    const trap_address masked = trap_address_mask(address.value, TRAP_IPV4, scope);
    EXPECT_TRUE(trap_address_is_v4(&masked)) << scope;
  }
}

TEST(Address, a_scope_beyond_the_family_masks_nothing) {
  const Address address = read_address("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
  for (const __u32 scope : {128u, 129u, 192u, 255u}) {
    const trap_address masked = trap_address_mask(address.value, TRAP_IPV6, scope);
    EXPECT_TRUE(trap_address_equal(&masked, &address.value)) << scope;
  }
}

TEST(Address, policy_at_the_edges_of_every_range) {
  const Json vectors = read_json("addresses.json");
  for (const Json& v : vectors["policy"]) {
    const Address address = read_address(v["address"]);
    EXPECT_EQ(trap_address_is_forbidden(&address.value, address.family) != 0, v["forbidden"]) << v;
    EXPECT_EQ(trap_address_is_private(&address.value, address.family) != 0, v["private"]) << v;
  }
}

TEST(Address, next_door_as_a_translator_leads) {
  const Json vectors = read_json("addresses.json");
  for (const Json& v : vectors["next_door"]) {
    trap_client_settings settings = {};
    const auto translator = v["translator"].get<std::string>();
    if (translator != "unknown")
      settings.flags = TRAP_CLIENT_NAT64_KNOWN;
    if (const auto slash = translator.find('/'); slash != std::string::npos) {
      settings.nat64 = read_address(translator.substr(0, slash)).value;
      settings.nat64_bits = static_cast<__u32>(std::stoul(translator.substr(slash + 1)));
    }
    const Address service = read_address(v["service"]), target = read_address(v["target"]);
    EXPECT_EQ(trap_target_is_next_door(&settings, &target.value, &service.value, service.family) !=
                  0,
              v["is"])
        << v;
  }
}

TEST(Address, martian_at_the_edges_of_every_range) {
  for (const char* text :
       {"0.0.0.0", "0.255.255.255", "127.0.0.0", "127.255.255.255", "224.0.0.0", "239.255.255.255",
        "240.0.0.0", "255.255.255.255", "::", "::1", "ff00::", "ffff::"}) {
    const Address address = read_address(text);
    EXPECT_TRUE(trap_address_is_martian(&address.value, address.family)) << text;
  }
  for (const char* text :
       {"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "169.254.0.1", "::2", "::100",
        "::1:0:0:0", "1::", "feff::", "fe80::1"}) {
    const Address address = read_address(text);
    EXPECT_FALSE(trap_address_is_martian(&address.value, address.family)) << text;
  }
}

TEST(Address, knows_its_family) {
  const Address v4 = read_address("192.0.2.2");
  const Address v6 = read_address("2001:db8::2");
  EXPECT_TRUE(trap_address_is_v4(&v4.value));
  EXPECT_FALSE(trap_address_is_v4(&v6.value));
  EXPECT_EQ(to_hex(v4.value.bytes, 16), "00000000000000000000ffffc0000202");
}

TEST(Address, equality_reads_all_16_bytes) {
  const Address a = read_address("2001:db8::2");
  for (int i = 0; i < 16; i++) {
    trap_address b = a.value;
    EXPECT_TRUE(trap_address_equal(&a.value, &b));
    b.bytes[i] ^= 1;
    EXPECT_FALSE(trap_address_equal(&a.value, &b)) << i;
  }
}

} // namespace
} // namespace trap::test
