// SPDX-License-Identifier: Apache-2.0
// Token buckets: what they let through in any stretch of time, however it is taken and by however
// many.
#include "dataplane/token_bucket.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace trap::test {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t some_time_ns = 12345 * second_ns;

trap_rate rate_of(std::uint64_t per_s, std::uint64_t burst, std::uint32_t chunk = 1) {
  return {.token_ns = second_ns / per_s,
          .burst_ns = second_ns / per_s * burst,
          .chunk = chunk,
          .reserved = 0};
}

int take_until_empty(trap_bucket& bucket, const trap_rate& rate, std::uint64_t now_ns,
                     std::uint32_t tokens = 1) {
  int taken = 0;
  while (taken < 1'000'000 && trap_bucket_take(&bucket, &rate, now_ns, tokens))
    taken++;
  return taken;
}

TEST(TokenBucket, of_zeros_is_full_and_holds_the_burst) {
  for (const std::uint64_t burst : {1, 2, 10, 1000}) {
    trap_bucket bucket = {};
    EXPECT_EQ(take_until_empty(bucket, rate_of(1000, burst), some_time_ns),
              static_cast<int>(burst));
  }
}

TEST(TokenBucket, gives_nothing_while_the_clock_stands_still) {
  trap_bucket bucket = {};
  const trap_rate rate = rate_of(1000, 10);
  take_until_empty(bucket, rate, some_time_ns);
  for (int i = 0; i < 1000; i++)
    ASSERT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns, 1), 0);
  ASSERT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns + rate.token_ns - 1, 1), 0);
  ASSERT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns + rate.token_ns, 1), 1);
  ASSERT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns + rate.token_ns, 1), 0);
}

TEST(TokenBucket, that_refuses_charges_nothing) {
  trap_bucket bucket = {};
  const trap_rate rate = rate_of(1000, 10);
  take_until_empty(bucket, rate, some_time_ns);
  const std::uint64_t before = bucket.full_at_ns;
  EXPECT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns, 1), 0);
  EXPECT_EQ(bucket.full_at_ns, before);
}

TEST(TokenBucket, without_a_rate_has_no_limit_and_is_not_written) {
  trap_bucket bucket = {.full_at_ns = 7};
  const trap_rate none = {};
  for (int i = 0; i < 1000; i++)
    ASSERT_EQ(trap_bucket_take(&bucket, &none, some_time_ns, 1000), 1);
  EXPECT_EQ(bucket.full_at_ns, 7u);
}

TEST(TokenBucket, is_just_full_after_any_gap) {
  const trap_rate rate = rate_of(1000, 10);
  constexpr std::uint64_t year_ns = 365 * 86400 * second_ns;
  for (const std::uint64_t gap_ns :
       {std::uint64_t{10 * rate.token_ns}, second_ns, year_ns, std::uint64_t{1} << 62}) {
    trap_bucket bucket = {};
    take_until_empty(bucket, rate, some_time_ns);
    EXPECT_EQ(take_until_empty(bucket, rate, some_time_ns + gap_ns), 10) << gap_ns;
  }
}

TEST(TokenBucket, gives_a_chunk_whole_or_not_at_all) {
  trap_bucket bucket = {};
  const trap_rate rate = rate_of(1000, 100, 64);
  EXPECT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns, rate.chunk), 1);
  EXPECT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns, rate.chunk), 0) << "36 are left";
  EXPECT_EQ(take_until_empty(bucket, rate, some_time_ns), 36);
  EXPECT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns + 63 * rate.token_ns, rate.chunk), 0);
  EXPECT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns + 64 * rate.token_ns, rate.chunk), 1);
}

// In whatever rhythm it is asked: burst plus rate times elapsed time, and all of that if it is
// asked often enough.
TEST(TokenBucket, lets_the_rate_through_and_no_more) {
  std::mt19937_64 random(11);
  for (const std::uint64_t per_s : {1ULL, 7ULL, 1000ULL, 50'000'000ULL}) {
    const trap_rate rate = rate_of(per_s, 10);
    trap_bucket bucket = {};
    std::uint64_t elapsed_ns = 0;
    std::uint64_t taken = 0;
    for (int i = 0; i < 100'000; i++) {
      if (random() % 4 != 0)
        elapsed_ns += random() % (2 * rate.token_ns);
      taken +=
          static_cast<std::uint64_t>(take_until_empty(bucket, rate, some_time_ns + elapsed_ns));
      ASSERT_LE(taken, 10 + elapsed_ns / rate.token_ns);
    }
    EXPECT_GE(taken + 1, 10 + elapsed_ns / rate.token_ns) << per_s;
  }
}

// A clock that is a tick behind on one CPU costs that CPU's tokens nothing and gives it nothing.
TEST(TokenBucket, bears_a_clock_that_steps_back) {
  trap_bucket bucket = {};
  const trap_rate rate = rate_of(1000, 10);
  take_until_empty(bucket, rate, some_time_ns);
  EXPECT_EQ(trap_bucket_take(&bucket, &rate, some_time_ns - 4'000'000, 1), 0);
  EXPECT_EQ(take_until_empty(bucket, rate, some_time_ns + 2 * rate.token_ns), 2);
}

// Threads as CPUs, all at one moment: what they get together is what the bucket had.
TEST(TokenBucket, shared_by_threads_gives_what_it_has_and_no_more) {
  constexpr int threads = 4;
  constexpr std::uint64_t burst = 20'000;
  for (int round = 0; round < 10; round++) {
    trap_bucket bucket = {};
    const trap_rate rate = rate_of(1000, burst);
    std::atomic<std::uint64_t> taken = 0;
    std::atomic<int> ready = 0;
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; i++)
      workers.emplace_back([&] {
        ready++;
        while (ready != threads)
          ;
        taken += static_cast<std::uint64_t>(take_until_empty(bucket, rate, some_time_ns));
      });
    for (std::thread& worker : workers)
      worker.join();
    const std::uint64_t paid = (bucket.full_at_ns - some_time_ns) / rate.token_ns;
    EXPECT_EQ(paid, taken) << "a race let something through that has not paid";
    EXPECT_LE(taken, burst);
    // A refund that came late may have refused the last tokens, one for each other thread at most.
    EXPECT_GE(taken + threads - 1, burst);
  }
}

} // namespace
} // namespace trap::test
