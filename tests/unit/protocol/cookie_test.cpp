// SPDX-License-Identifier: Apache-2.0
// The SYN cookie against the vectors, and the window that its lowest bit tells.
#include "protocol/cookie.h"

#include <gtest/gtest.h>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

trap_connection read_connection(const Json& v) {
  const Address client = read_address(v["client"]);
  return {
      .client = client.value,
      .server = read_address(v["server"]).value,
      .client_port = TRAP_BE16(v["client_port"].get<int>()),
      .server_port = TRAP_BE16(v["server_port"].get<int>()),
      .client_isn = TRAP_BE32(v["isn"].get<std::uint32_t>()),
      .family = client.family,
  };
}

TEST(Cookie, is_what_the_document_says) {
  for (const Json& v : read_json("cookies.json")) {
    const trap_key key = read_key(v["key"]);
    const trap_connection connection = read_connection(v);
    EXPECT_EQ(trap_cookie(&key, &connection, v["window"]), v["cookie"]) << v;
  }
}

TEST(Cookie, tells_its_window_while_it_is_the_present_or_the_previous_one) {
  for (const Json& v : read_json("cookies.json")) {
    const std::uint32_t window = v["window"];
    EXPECT_EQ(trap_cookie_window_of(v["cookie"], window), window);
    EXPECT_EQ(trap_cookie_window_of(v["cookie"], window + 1), window);
    EXPECT_NE(trap_cookie_window_of(v["cookie"], window + 2), window);
    EXPECT_NE(trap_cookie_window_of(v["cookie"], window - 1), window);
  }
}

TEST(Cookie, depends_on_every_part_of_the_connection) {
  const Json v = read_json("cookies.json")[0];
  const trap_key key = read_key(v["key"]);
  const std::uint32_t window = v["window"];
  const trap_connection original = read_connection(v);
  const __u32 cookie = trap_cookie(&key, &original, window);

  for (int field = 0; field < 6; field++) {
    trap_connection changed = original;
    trap_key changed_key = key;
    if (field == 0)
      changed.client.be32[3] ^= 1;
    else if (field == 1)
      changed.server.be32[3] ^= 1;
    else if (field == 2)
      changed.client_port ^= 1;
    else if (field == 3)
      changed.server_port ^= 1;
    else if (field == 4)
      changed.client_isn ^= 1;
    else
      changed_key.start.v2 ^= 1;
    EXPECT_NE(trap_cookie(&changed_key, &changed, window), cookie) << field;
  }
  EXPECT_NE(trap_cookie(&key, &original, window + 2), cookie);
}

} // namespace
} // namespace trap::test
