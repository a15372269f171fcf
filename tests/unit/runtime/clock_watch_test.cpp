// SPDX-License-Identifier: Apache-2.0
// Steps of the wall clock and sleep, from readings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/process/clock_watch.h"

namespace trap::test {
namespace {

using testing::HasSubstr;

constexpr std::int64_t unit_ns = 1'000'000'000;

// A host that ticks once a second.
struct TickingHost {
  ClockWatch watch;
  ClockReading now = {.unix_ns = 1'800'000'000 * unit_ns,
                      .boottime_ns = 5000 * unit_ns,
                      .monotonic_ns = 4000 * unit_ns,
                      .synchronised = false};

  // Whole seconds by which the wall clock is set, and for which the host sleeps, before the tick.
  ClockWatch::Seen tick(std::int64_t step_s = 0, std::int64_t sleep_s = 0) {
    now.unix_ns += (1 + step_s + sleep_s) * unit_ns;
    now.boottime_ns += (1 + sleep_s) * unit_ns;
    now.monotonic_ns += unit_ns;
    return watch.observe(now);
  }
};

TEST(ClockWatch, sees_steps_either_way_until_the_clock_is_set_back) {
  for (const std::int64_t step_s : {3600, -3600, 8 * 3600, -8 * 3600, 11, -11}) {
    TickingHost host;
    EXPECT_EQ(host.tick().step_s, 0);
    EXPECT_EQ(host.watch.problem(), "");
    EXPECT_EQ(host.tick(step_s).step_s, step_s);
    EXPECT_EQ(host.tick().step_s, 0);
    EXPECT_THAT(host.watch.problem(), HasSubstr(std::to_string(step_s > 0 ? step_s : -step_s) +
                                                (step_s > 0 ? " s ahead" : " s back")));
    EXPECT_EQ(host.tick(-step_s).step_s, -step_s);
    EXPECT_EQ(host.watch.problem(), "");
  }
}

TEST(ClockWatch, takes_a_synchronised_clock_for_right) {
  TickingHost host;
  host.tick();
  host.tick(3600);
  EXPECT_NE(host.watch.problem(), "");
  host.now.synchronised = true;
  host.tick();
  EXPECT_EQ(host.watch.problem(), "");
  host.now.synchronised = false;
  host.tick();
  EXPECT_EQ(host.watch.problem(), "");
  host.tick(-3600); // what was right at the start is not any more
  EXPECT_THAT(host.watch.problem(), HasSubstr("3600 s back"));
}

TEST(ClockWatch, adds_up_small_steps) {
  TickingHost host;
  host.tick();
  for (int i = 0; i < 4; i++)
    EXPECT_EQ(host.tick(2).step_s, 2);
  EXPECT_EQ(host.watch.problem(), "");
  host.tick(2);
  EXPECT_THAT(host.watch.problem(), HasSubstr("10 s ahead"));
}

TEST(ClockWatch, does_not_take_sleep_for_a_step) {
  TickingHost host;
  host.tick();
  const ClockWatch::Seen seen = host.tick(0, 7200);
  EXPECT_EQ(seen.slept_s, 7200);
  EXPECT_EQ(seen.step_s, 0);
  EXPECT_EQ(host.watch.problem(), "");
  EXPECT_EQ(host.tick(3600, 60).step_s, 3600);
}

} // namespace
} // namespace trap::test
