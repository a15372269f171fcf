// SPDX-License-Identifier: Apache-2.0
// A problem makes one line when it comes and one when it goes.
#include "runtime/process/problem_log.h"

#include <gmock/gmock.h>

namespace trap::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ProblemLog, tells_what_came_and_what_went) {
  ProblemLog log;
  EXPECT_THAT(log.compare({"b", "a"}).came, ElementsAre("a", "b"));
  EXPECT_THAT(log.compare({"a", "b"}).came, IsEmpty());
  const ProblemChanges changes = log.compare({"b", "c"});
  EXPECT_THAT(changes.came, ElementsAre("c"));
  EXPECT_THAT(changes.went, ElementsAre("a"));
  EXPECT_THAT(log.compare({}).went, ElementsAre("b", "c"));
}

TEST(ProblemLog, says_nothing_of_a_number_that_changes) {
  ProblemLog log;
  log.compare({"keys for only 119 more minutes", "interface eth0 is gone"});
  const ProblemChanges changes =
      log.compare({"keys for only 118 more minutes", "interface eth1 is gone"});
  EXPECT_THAT(changes.came, ElementsAre("interface eth1 is gone"));
  EXPECT_THAT(changes.went, ElementsAre("interface eth0 is gone"));
}

// Whatever stands around a number; an address or a port is none.
TEST(ProblemLog, knows_numbers_by_their_form) {
  const std::pair<const char*, const char*> same[] = {{"lost 3 of 80 (4%)", "lost 4 of 80 (5%)"},
                                                      {"1.5 s late, 7;", "0.3 s late, 8;"}};
  for (const auto& [earlier, later] : same) {
    ProblemLog log;
    log.compare({earlier});
    EXPECT_THAT(log.compare({later}).came, IsEmpty()) << later;
  }
  const std::pair<const char*, const char*> others[] = {
      {"at 203.0.113.1", "at 203.0.113.2"},
      {"at [2001:db8::1]:80", "at [2001:db8::1]:81"},
      {"eth0 is gone", "eth1 is gone"},
      {"version 0.4.0", "version 0.5.0"}};
  for (const auto& [earlier, later] : others) {
    ProblemLog log;
    log.compare({earlier});
    EXPECT_THAT(log.compare({later}).came, ElementsAre(later));
  }
}

// Two of a kind, and a third that comes while both stay.
TEST(ProblemLog, tells_of_each_address_that_comes_beside_others) {
  ProblemLog log;
  log.compare({"nothing listens at 203.0.113.10:80"});
  EXPECT_THAT(
      log.compare({"nothing listens at 203.0.113.10:80", "nothing listens at 203.0.113.11:80"})
          .came,
      ElementsAre("nothing listens at 203.0.113.11:80"));
}

} // namespace
} // namespace trap::test
