// SPDX-License-Identifier: Apache-2.0
// The translator's prefix, from the addresses that a resolver gives for ipv4only.arpa.
#include "client/daemon/redirects/translator.h"

#include <vector>

#include <gtest/gtest.h>

#include "client/targets.h"
#include "runtime/config/endpoint.h"

namespace trap::client {
namespace {

constexpr unsigned lengths[] = {32, 40, 48, 56, 64, 96};

Prefix prefix_of(unsigned bits) {
  return {trap_address_mask(*parse_address("2001:db8:122:344::"), TRAP_IPV6, bits), bits};
}

TEST(Translator, has_each_length_of_prefix) {
  for (const unsigned bits : lengths) {
    const Prefix prefix = prefix_of(bits);
    for (const __u32 ipv4 : {0xc00000aaU, 0xc00000abU}) {
      const std::vector<trap_address> answer = {
          trap_nat64_embed(&prefix.address, bits, TRAP_BE32(ipv4))};
      const auto found = translator_prefix(answer);
      ASSERT_TRUE(found) << bits;
      EXPECT_EQ(format_prefix(*found), format_prefix(prefix));
    }
  }
}

// RFC 6052 2.4.
TEST(Translator, embeds_as_the_document_shows) {
  const std::vector<std::pair<std::string, std::string>> shown = {
      {"2001:db8::/32", "2001:db8:c000:221::"},
      {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
      {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
      {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
      {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"},
      {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"}};
  for (const auto& [prefix, address] : shown) {
    const Prefix of = *parse_prefix(prefix);
    const trap_address made = trap_nat64_embed(&of.address, of.bits, TRAP_BE32(0xc0000221));
    EXPECT_EQ(format_address(made), format_address(*parse_address(address)));
    __be32 back = 0;
    EXPECT_TRUE(trap_nat64_embeds_v4(&made, &of.address, of.bits, &back));
    EXPECT_EQ(TRAP_FROM_BE32(back), 0xc0000221U);
  }
}

TEST(Translator, is_not_there_where_the_name_has_no_such_address) {
  EXPECT_FALSE(translator_prefix({}));
  for (const char* other : {"2001:db8::1", "::1", "64:ff9b::192.0.2.1"}) {
    const std::vector<trap_address> answer = {*parse_address(other)};
    EXPECT_FALSE(translator_prefix(answer)) << other;
  }
}

} // namespace
} // namespace trap::client
