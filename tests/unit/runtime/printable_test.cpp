// SPDX-License-Identifier: Apache-2.0
// Text from outside in one line: what is escaped, and what is left as it is.
#include "runtime/printable.h"

#include <gtest/gtest.h>

namespace trap::test {
namespace {

TEST(Printable, leaves_text_of_every_script_as_it_is) {
  for (const char* text : {"", "interfaces = [\"eth0\"]", "\\n is no line end", "naïve Straße",
                           "\u65e5\u672c\u8a9e \u05e2\u05d1", "\U0001f6e1"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, escapes_control_characters) {
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\x0dd");
  EXPECT_EQ(printable("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  for (char c = 1; c < 0x20; c++)
    EXPECT_EQ(printable(std::string(1, c))[0], '\\');
  EXPECT_EQ(printable("\u009b31m"), "\\u009b31m"); // an escape sequence in one character
  EXPECT_EQ(printable("\u202eexe.txt\u2066\u200f"), "\\u202eexe.txt\\u2066\\u200f");
  EXPECT_EQ(printable("a\u2028b"), "a\\u2028b");
}

TEST(Printable, escapes_bytes_that_are_no_utf_8) {
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                   // cut
  EXPECT_EQ(printable("\xc3(\xa0"), "\\xc3(\\xa0");        // no continuation
  EXPECT_EQ(printable("\xc0\x8a"), "\\xc0\\x8a");          // a line end in two bytes
  EXPECT_EQ(printable("\xe0\x80\x8a"), "\\xe0\\x80\\x8a"); // in three
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

} // namespace
} // namespace trap::test
