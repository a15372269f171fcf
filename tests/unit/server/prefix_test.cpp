// SPDX-License-Identifier: Apache-2.0
// Client prefixes and files of them: what is read, what is refused with its line.
#include <gmock/gmock.h>

#include "server/daemon/config/prefix_file.h"

namespace trap::test {
namespace {

using server::parse_prefix;
using server::parse_prefixes;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ClientPrefix, is_written_as_it_was_read) {
  for (const char* text : {"192.0.2.0/24", "192.0.2.1/32", "0.0.0.0/0", "2001:db8:1::/48",
                           "2001:db8::7/128", "::/0"}) {
    const auto prefix = parse_prefix(text);
    ASSERT_TRUE(prefix) << prefix.error().message;
    EXPECT_EQ(server::format_prefix(*prefix), text);
  }
}

TEST(ClientPrefix, of_ipv4_lies_in_its_place_among_the_addresses) {
  const auto prefix = parse_prefix("192.0.2.0/24");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->bits, 120u);
  EXPECT_EQ(prefix->family(), TRAP_IPV4);
  EXPECT_EQ(parse_prefix("0.0.0.0/0")->family(), TRAP_IPV4);
  EXPECT_EQ(parse_prefix("::/0")->family(), TRAP_IPV6);
}

TEST(ClientPrefix, may_be_a_lone_address) {
  EXPECT_EQ(*parse_prefix("192.0.2.7"), *parse_prefix("192.0.2.7/32"));
  EXPECT_EQ(*parse_prefix("2001:db8::7"), *parse_prefix("2001:db8::7/128"));
}

TEST(ClientPrefix, is_refused_with_bits_behind_it_or_an_impossible_length) {
  for (const char* text :
       {"192.0.2.0/33", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/2x", "/24", "",
        "example.net", "::ffff:192.0.2.0/120", "192.0.2/24"})
    EXPECT_FALSE(parse_prefix(text)) << text;
  EXPECT_THAT(parse_prefix("192.0.2.1/24").error().message, HasSubstr("192.0.2.0/24"));
}

TEST(PrefixFile, has_comments_blanks_and_any_line_end) {
  const auto lines =
      parse_prefixes("# bad networks\r\n\n  192.0.2.0/24\t# one\r\n2001:db8::/32", "list");
  ASSERT_TRUE(lines) << lines.error().message;
  ASSERT_EQ(lines->size(), 2u);
  EXPECT_EQ((*lines)[0].line, 3u);
  EXPECT_EQ(server::format_prefix((*lines)[0].prefix), "192.0.2.0/24");
  EXPECT_EQ((*lines)[1].line, 4u);
}

TEST(PrefixFile, names_the_line_that_is_wrong) {
  const auto lines = parse_prefixes("192.0.2.0/24\n\n192.0.2.300\n", "/etc/list");
  ASSERT_FALSE(lines);
  EXPECT_THAT(lines.error().message, StartsWith("/etc/list:3: "));
  EXPECT_EQ(lines.error().exit_code, ExitCode::usage);
  EXPECT_THAT(server::read_prefix_file("/nonexistent/list").error().message,
              StartsWith("/nonexistent/list: "));
}

} // namespace
} // namespace trap::test
