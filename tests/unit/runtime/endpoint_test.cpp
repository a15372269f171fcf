// SPDX-License-Identifier: Apache-2.0
// Addresses and endpoints as people write them.
#include "runtime/config/endpoint.h"

#include <gtest/gtest.h>

namespace trap::test {
namespace {

TEST(Endpoint, what_is_read_is_written) {
  for (const std::string text : {"203.0.113.10:80", "0.0.0.0:1", "255.255.255.255:65535",
                                 "[2001:db8:113::10]:80", "[::1]:443"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text << ": " << endpoint.error().message;
    EXPECT_EQ(format_endpoint(*endpoint), text);
  }
}

TEST(Endpoint, nonsense_is_refused_in_one_line) {
  for (const std::string text : {"",
                                 "80",
                                 "203.0.113.10",
                                 "203.0.113.10:",
                                 "203.0.113.10:0",
                                 "203.0.113.10:65536",
                                 "203.0.113.10:-1",
                                 "203.0.113.10:80x",
                                 "203.0.113.10: 80",
                                 "203.0.113:80",
                                 "203.0.113.256:80",
                                 "2001:db8::10:80",
                                 "[2001:db8::10]",
                                 "[2001:db8::10]80",
                                 "[2001:db8::10:80",
                                 "[203.0.113.10]:80",
                                 "[::ffff:203.0.113.10]:80",
                                 "[fe80::1%eth0]:80",
                                 "example.org:80",
                                 " 203.0.113.10:80",
                                 "203.0.113.10:80 ",
                                 "203.0.113.10:99999999999999999999"}) {
    const auto endpoint = parse_endpoint(text);
    EXPECT_FALSE(endpoint) << text;
    if (!endpoint)
      EXPECT_EQ(endpoint.error().message.find('\n'), std::string::npos);
  }
}

TEST(Endpoint, addresses_without_ports) {
  EXPECT_TRUE(parse_address("203.0.113.10"));
  EXPECT_TRUE(parse_address("2001:db8::1"));
  for (const std::string text : {"", "203.0.113.10:80", "[2001:db8::1]", "::ffff:203.0.113.10",
                                 "203.0.113.10/24", "localhost"})
    EXPECT_FALSE(parse_address(text)) << text;
}

} // namespace
} // namespace trap::test
