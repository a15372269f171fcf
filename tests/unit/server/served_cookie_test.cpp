// SPDX-License-Identifier: Apache-2.0
// The cookie of services that serve: it holds what it says, and depends on everything that it
// should.
#include "server/served_cookie.h"

#include <gtest/gtest.h>

namespace trap::test {
namespace {

const trap_key key = trap_key_make(0x0706050403020100, 0x0f0e0d0c0b0a0908);

trap_connection connection(trap_family family) {
  trap_connection made = {};
  made.family = family;
  made.client = trap_address_v4(TRAP_BE32(0xc6336407));
  made.server = trap_address_v4(TRAP_BE32(0xcb00710a));
  if (family == TRAP_IPV6)
    made.client.raw64[0] = made.server.raw64[0] = 0x0120b80d01200000;
  made.client_port = TRAP_BE16(40000);
  made.server_port = TRAP_BE16(443);
  made.client_isn = TRAP_BE32(0x12345678);
  return made;
}

TEST(ServedCookie, says_its_window_and_mss) {
  for (const trap_family family : {TRAP_IPV4, TRAP_IPV6}) {
    const trap_connection made = connection(family);
    for (std::uint32_t window = 1000; window < 1004; window++) {
      for (std::uint32_t index = 0; index < 8; index++) {
        const std::uint32_t cookie = trap_served_cookie(&key, &made, window, index);
        EXPECT_EQ(trap_served_cookie_mss_index(cookie), index);
        EXPECT_EQ(trap_cookie_window_of(cookie, window), window);
        EXPECT_EQ(trap_cookie_window_of(cookie, window + 1), window);
      }
    }
  }
}

// A client's window must never seem larger than it is.
TEST(ServedCookie, rounds_window_scales_down) {
  for (std::uint32_t scale = 0; scale <= 14; scale++) {
    const std::uint32_t options = trap_served_plain_options(1, scale);
    EXPECT_GT(options, TRAP_PLAIN_SACK);
    EXPECT_LE(options, 7U);
    EXPECT_LE(trap_served_plain_scale(options), scale);
  }
  for (const std::uint32_t common : {0U, 2U, 6U, 7U, 8U, 10U})
    EXPECT_EQ(trap_served_plain_scale(trap_served_plain_options(1, common)), common);
  EXPECT_EQ(trap_served_plain_options(0, 7), TRAP_PLAIN_SACK);
}

TEST(ServedCookie, says_options_beside_window_and_mss) {
  const trap_connection made = connection(TRAP_IPV4);
  const std::uint32_t cookie = trap_served_cookie(&key, &made, 1001, 5);
  EXPECT_EQ(trap_served_cookie_with(cookie, 0), cookie);
  for (std::uint32_t options = 1; options < 8; options++) {
    const std::uint32_t with = trap_served_cookie_with(cookie, options);
    EXPECT_EQ(trap_served_cookie_options(with), options);
    EXPECT_EQ(trap_served_cookie_mss_index(with), 5U);
    EXPECT_EQ(trap_cookie_window_of(with, 1001), 1001U);
    EXPECT_EQ(with >> 7, cookie >> 4 & 0x1ffffff);
  }
}

TEST(ServedCookie, depends_on_every_part) {
  for (const trap_family family : {TRAP_IPV4, TRAP_IPV6}) {
    const trap_connection first = connection(family);
    const std::uint32_t cookie = trap_served_cookie(&key, &first, 1000, 6);
    const auto differs = [&](const trap_connection& other, std::uint32_t window,
                             std::uint32_t index, const trap_key& with) {
      return trap_served_cookie(&with, &other, window, index) >> 4 != cookie >> 4;
    };
    trap_connection other = first;
    other.client.be32[3] ^= 1;
    EXPECT_TRUE(differs(other, 1000, 6, key));
    other = first;
    other.server.be32[3] ^= 1;
    EXPECT_TRUE(differs(other, 1000, 6, key));
    other = first;
    other.client_port ^= 1;
    EXPECT_TRUE(differs(other, 1000, 6, key));
    other = first;
    other.server_port ^= 1;
    EXPECT_TRUE(differs(other, 1000, 6, key));
    other = first;
    other.client_isn ^= 1;
    EXPECT_TRUE(differs(other, 1000, 6, key));
    EXPECT_TRUE(differs(first, 1002, 6, key));
    EXPECT_TRUE(differs(first, 1000, 5, key)); // so that nobody raises his MSS
    EXPECT_TRUE(differs(first, 1000, 6, trap_key_make(0x0706050403020101, 0x0f0e0d0c0b0a0908)));
    EXPECT_NE(trap_cookie(&key, &first, 1000) >> 4, cookie >> 4)
        << "the other cookie has another domain";
  }
}

TEST(ServedCookie, rounds_the_mss_down) {
  for (std::uint32_t mss = 0; mss <= 65535; mss++) {
    const std::uint32_t index = trap_served_mss_index(mss);
    ASSERT_LT(index, 8U);
    if (mss >= 536)
      ASSERT_LE(trap_served_mss(index), mss);
    if (index < 7 && mss >= 536)
      ASSERT_GT(trap_served_mss(index + 1), mss);
  }
  EXPECT_EQ(trap_served_mss(trap_served_mss_index(0)), 536U);
}

} // namespace
} // namespace trap::test
