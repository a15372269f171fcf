// SPDX-License-Identifier: Apache-2.0
// Depths that a parser would have no stack for are errors with their line, before it runs.
#include "runtime/config/toml_depth.h"

#include <gmock/gmock.h>

#include "runtime/config/config_node.h"

namespace trap::test {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; i++)
    out += text;
  return out;
}

unsigned line_of(const std::string& text) {
  const auto deep = find_toml_too_deep(text);
  return deep ? deep->line : 0;
}

TEST(TomlDepth, lets_pass_what_configurations_have) {
  for (const char* text :
       {"", "[[service.backend.guard]]\n", "a.b.c.d.e.f.g.h = 1", "a = [[1, 2], [3.5, 4.5]]",
        "a = \"1.2.3.4.5.6.7.8.9.10\"", "a = '[[[[[[[[[[[[[[[['",
        "# [[[[[[[[[[ a.b.c.d.e.f.g.h.i.j", "a = \"\"\"\n[[[[[[[[[[[[ \\\" \"\n\"\"\"",
        "a = '''\n[[[[[[[[[[\n'''", "a = \"\\\"[[[[[[[[[[[[[[\"", "\"a.b.c.d.e.f.g.h.i\".c = 1",
        "a = [1.5, 2.5, 3.5, 4.5, "
        "5.5, 6.5, 7.5, 8.5, 9.5]",
        "a = {b = 1.5, c = {d = 2.5}}", "a = \"unterminated\n[b]\n"})
    EXPECT_EQ(line_of(text), 0u) << text;
  EXPECT_EQ(line_of(repeat("[[a.b]]\nc = [{d = 1}]\n", 1000)), 0u);
}

TEST(TomlDepth, names_the_line_of_what_is_too_deep) {
  EXPECT_EQ(line_of("\n\na.b.c.d.e.f.g.h.i = 1"), 3u);
  EXPECT_EQ(line_of("a . b . c . d . e . f . g . h . i = 1"), 1u);
  EXPECT_EQ(line_of("'a'.\"b\".c.d.e.f.g.h.i = 1"), 1u);
  EXPECT_EQ(line_of("# a\n[a.b.c.d.e.f.g.h.i]"), 2u);
  EXPECT_EQ(line_of("a = {b.c.d.e.f.g.h.i.j = 1}"), 1u);
  EXPECT_EQ(line_of("a = [\n[[[[[\n[[[1]]]\n]]]]]\n]"), 3u);
  EXPECT_EQ(line_of("a = " + repeat("{b = ", 9)), 1u);
}

TEST(TomlDepth, a_hostile_file_is_an_error_and_no_crash) {
  const int many = 200000;
  for (const std::string& text :
       {repeat("a.", many) + "a = 1", "[" + repeat("a.", many) + "a]", "a = " + repeat("[", many),
        "a = " + repeat("{a=", many), "a = [" + repeat("[],", 10) + repeat("[", many)}) {
    auto config = parse_config(text, "file");
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().message, testing::StartsWith("file:1: not TOML"));
    EXPECT_EQ(config.error().exit_code, ExitCode::usage);
  }
}

TEST(ConfigNode, an_error_quotes_no_word_of_a_file_that_is_no_toml) {
  for (const char* text :
       {"trap-master-1 c29tZSBzZWNyZXQ=", "c29tZSBzZWNyZXQ = 1\nc29tZSBzZWNyZXQ = 2",
        "[c29tZSBzZWNyZXQ]\n[c29tZSBzZWNyZXQ]", "a = c29tZSBzZWNyZXQ"}) {
    auto config = parse_config(text, "file");
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, testing::Not(testing::HasSubstr("c29"))) << text;
  }
}

} // namespace
} // namespace trap::test
