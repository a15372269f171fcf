// SPDX-License-Identifier: Apache-2.0
// The demo's last sentence follows from the table above it, whatever the figures are.
#include "lab/demo/heavy_flood.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trap::lab {
namespace {

FloodRow row_of(const char* name, bool is_trap, int served_of_100) {
  FloodRow row{name, std::string{"defence "} + name, is_trap, {}, {}};
  row.trial.asked_per_second = heavy_flood_per_second;
  row.trial.offered_per_second = heavy_flood_per_second;
  row.trial.victim_busy = 1;
  for (int call = 0; call < 100; call++)
    row.trial.calls.push_back(call < served_of_100 ? Call{true, true, 1, 2}
                                                   : Call{false, false, 1000, 1000});
  return row;
}

bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(HeavyFlood, SaysThatTrapHeldOnlyWhereItDid) {
  const auto sentence = [](int ours, int theirs) {
    return sentence_of({row_of("theirs", false, theirs), row_of("ours", true, ours)});
  };
  EXPECT_TRUE(says(sentence(100, 0), "TRAP held where the others collapsed."));
  EXPECT_TRUE(says(sentence(100, 80), "TRAP held where the others did not."));
  EXPECT_TRUE(says(sentence(97, 100), "TRAP held, and so did another."));
  EXPECT_TRUE(says(sentence(60, 0), "TRAP did not hold, but served more than the others."));
  EXPECT_TRUE(says(sentence(40, 100), "here TRAP did not hold, and did no better"));
  EXPECT_TRUE(says(sentence(40, 40), "here TRAP did not hold, and did no better"));
}

TEST(HeavyFlood, JudgesByTheWorstOfTrapAndTheBestOfTheOthers) {
  const std::string sentence = sentence_of({row_of("weak", false, 0), row_of("strong", false, 98),
                                            row_of("good", true, 100), row_of("bad", true, 10)});
  EXPECT_TRUE(says(sentence, "did no better than the others"));
  EXPECT_TRUE(says(sentence, "100 % (defence good), 10 % (defence bad)"));
  EXPECT_TRUE(says(sentence, "0 % (defence weak), 98 % (defence strong)"));
}

TEST(HeavyFlood, ConcludesNothingFromAnIdleVictim) {
  FloodRow idle = row_of("idle", false, 0);
  idle.trial.victim_busy = 0.5;
  const std::string sentence =
      sentence_of({idle, row_of("busy", false, 99), row_of("ours", true, 100)});
  EXPECT_TRUE(
      says(sentence, "Nothing follows for \"defence idle\": the victim's CPU was only 50 %"));
  EXPECT_TRUE(says(sentence, "TRAP held, and so did another."));
  EXPECT_FALSE(says(sentence, "0 % (defence idle)"));
}

TEST(HeavyFlood, ConcludesFromAFullBacklogWithAnIdleVictim) {
  FloodRow full = row_of("full", false, 0);
  full.trial.victim_busy = 0.5;
  full.trial.refused_by_backlog = 100'000;
  EXPECT_EQ(full.doubt(), "");
}

TEST(HeavyFlood, ConcludesNothingFromAFloodThatDidNotCome) {
  FloodRow calm = row_of("calm", true, 100);
  calm.trial.offered_per_second = heavy_flood_per_second / 2.0;
  FloodRow missing{"missing", "defence missing", false, "nft is not installed", {}};
  const std::string sentence = sentence_of({calm, missing});
  EXPECT_TRUE(sentence.starts_with("The demo proves nothing"));
  EXPECT_TRUE(says(sentence, "only 500000 of 1000000 SYNs a second were sent"));
  EXPECT_TRUE(says(sentence, "nft is not installed"));
}

TEST(HeavyFlood, SaysWhatOneCpuCannotShow) {
  EXPECT_TRUE(sentence_of({}).starts_with("This machine has one CPU"));
}

TEST(HeavyFlood, RoundsNeitherUpToAllNorDownToNothing) {
  FloodRow nearly = row_of("nearly", true, 100);
  for (int call = 0; call < 150; call++)
    nearly.trial.calls.push_back({true, true, 1, 2});
  nearly.trial.calls.front() = {false, false, 1000, 1000};
  EXPECT_TRUE(says(sentence_of({row_of("other", false, 0), nearly}), "99.6 % (defence nearly)"));
}

TEST(HeavyFlood, MarksRequestsThatTheVictimDidNotLimit) {
  FloodRow row = row_of("ours", true, 100);
  row.trial.requests_per_second = 12345;
  row.trial.victim_busy_with_load = 0.5;
  EXPECT_TRUE(says(table_of({row}), "> 12345"));
  row.trial.victim_busy_with_load = 1;
  EXPECT_FALSE(says(table_of({row}), "> 12345"));
}

} // namespace
TEST(HeavyFlood, SaysRatesInThousandsOrMillions) {
  EXPECT_EQ(rate_text(0), "0");
  EXPECT_EQ(rate_text(999), "999");
  EXPECT_EQ(rate_text(123'456), "123,000");
  EXPECT_EQ(rate_text(999'499), "999,000");
  EXPECT_EQ(rate_text(999'500), "1.0 million"); // never "1000,000"
  EXPECT_EQ(rate_text(2'345'678), "2.3 million");
}

} // namespace trap::lab
