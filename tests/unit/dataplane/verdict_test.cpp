// SPDX-License-Identifier: Apache-2.0
// The verdict table: names that operators can rely on, and actions that fit them.
#include "dataplane/verdict.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

namespace trap::test {
namespace {

struct Row {
  trap_verdict verdict;
  trap_action action;
  std::string identifier;
  std::string name;
  std::string text;
};

std::vector<Row> table() {
  return {
#define TRAP_ROW(id, action, parts, about, name, text)                                             \
  {TRAP_##id, TRAP_ACTION_##action, #id, name, text},
      TRAP_VERDICTS(TRAP_ROW)
#undef TRAP_ROW
  };
}

TEST(Verdict, names_follow_from_identifiers_and_are_unique) {
  std::set<std::string> names;
  for (const Row& row : table()) {
    std::string expected = row.identifier;
    for (char& c : expected)
      c = c == '_' ? '-' : static_cast<char>(std::tolower(c));
    EXPECT_EQ(row.name, expected);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.text.empty()) << row.name;
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(TRAP_VERDICT_COUNT));
}

TEST(Verdict, actions_are_what_the_names_say) {
  for (const Row& row : table()) {
    const std::string word = row.name.substr(0, row.name.find('-'));
    const trap_action expected = word == "pass"    ? TRAP_ACTION_PASS
                                 : word == "drop"  ? TRAP_ACTION_DROP
                                 : word == "reply" ? TRAP_ACTION_REPLY
                                                   : TRAP_ACTION_CONSUME;
    EXPECT_EQ(row.action, expected) << row.name;
    EXPECT_EQ(trap_verdict_action(row.verdict), expected) << row.name;
  }
}

TEST(Verdict, an_unknown_verdict_drops) {
  EXPECT_EQ(trap_verdict_action(TRAP_VERDICT_COUNT), TRAP_ACTION_DROP);
  EXPECT_EQ(trap_verdict_parts(TRAP_VERDICT_COUNT), 0u);
  EXPECT_EQ(trap_verdict_about(TRAP_VERDICT_COUNT), TRAP_ABOUT_SERVICE);
}

} // namespace
} // namespace trap::test
