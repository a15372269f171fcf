// SPDX-License-Identifier: Apache-2.0
// Time: epochs, windows and ticket times against the vectors, and the anchors that relate two
// clocks.
#include "protocol/clock.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

TEST(Clock, counts_as_the_document_says) {
  for (const Json& v : read_json("time.json")) {
    const std::uint64_t ns = v["unix_ns"];
    const std::uint32_t s = v["unix_s"];
    EXPECT_EQ(trap_epoch(ns), v["epoch"]) << v;
    EXPECT_EQ(trap_cookie_window(ns), v["window"]) << v;
    EXPECT_EQ(trap_ticket_time(s), v["ticket_time"]) << v;
    EXPECT_EQ(trap_epoch_of_second(s), v["epoch_of_second"]) << v;
  }
}

TEST(Clock, a_window_belongs_to_the_epoch_of_its_high_bits) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 10000; i++) {
    const std::uint64_t ns = random() >> 2;
    EXPECT_EQ(trap_cookie_window(ns) >> TRAP_WINDOWS_PER_EPOCH_SHIFT,
              static_cast<std::uint32_t>(trap_epoch(ns)) & 0x3ffffff);
  }
}

TEST(Clock, seconds_by_multiplication_are_close) {
  for (const std::uint64_t s : {0ULL, 1ULL, 59ULL, 3600ULL, 86400ULL, 31536000ULL, 4000000000ULL}) {
    const std::uint64_t got = trap_ns_to_s(s * second_ns + second_ns / 2);
    EXPECT_LE(got, s + 1 + s / 10'000'000) << s;
    EXPECT_GE(got + 1, s) << s;
  }
}

TEST(Clock, goes_on_from_the_active_anchor) {
  trap_clock clock = {};
  clock.anchors[0] = {.monotonic_ns = 10 * second_ns, .unix_ns = 1000 * second_ns, .unix_s = 1000};
  clock.anchors[1] = {.monotonic_ns = 20 * second_ns, .unix_ns = 5000 * second_ns, .unix_s = 5000};
  EXPECT_EQ(trap_time_at(&clock, 13 * second_ns).unix_ns, 1003 * second_ns);
  EXPECT_NEAR(trap_time_at(&clock, 13 * second_ns).unix_s, 1003, 1);
  clock.active = 1;
  EXPECT_EQ(trap_time_at(&clock, 23 * second_ns).unix_ns, 5003 * second_ns);
}

TEST(Clock, stands_still_before_its_anchor) {
  trap_clock clock = {};
  clock.anchors[0] = {.monotonic_ns = 10 * second_ns, .unix_ns = 1000 * second_ns, .unix_s = 1000};
  const trap_time time = trap_time_at(&clock, 9 * second_ns);
  EXPECT_EQ(time.unix_ns, 1000 * second_ns);
  EXPECT_EQ(time.unix_s, 1000u);
}

TEST(Clock, an_active_index_out_of_range_reads_no_other_memory) {
  trap_clock clock = {};
  clock.anchors[1] = {.monotonic_ns = 0, .unix_ns = 7, .unix_s = 0};
  clock.active = 0xffffffff;
  EXPECT_EQ(trap_time_at(&clock, 0).unix_ns, 7u);
}

TEST(Clock, seconds_never_lag_nanoseconds_by_more_than_one_within_a_day) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 10000; i++) {
    const std::uint64_t unix_ns = 1'800'000'000 * second_ns + random() % second_ns;
    trap_clock clock = {};
    clock.anchors[0] = {.monotonic_ns = random() % (1000 * second_ns),
                        .unix_ns = unix_ns,
                        .unix_s = unix_ns / second_ns};
    const trap_time time =
        trap_time_at(&clock, clock.anchors[0].monotonic_ns + random() % (86400 * second_ns));
    const std::uint64_t exact_s = time.unix_ns / second_ns;
    ASSERT_LE(time.unix_s, exact_s + 1);
    ASSERT_GE(time.unix_s + 1ULL, exact_s);
  }
}

} // namespace
} // namespace trap::test
