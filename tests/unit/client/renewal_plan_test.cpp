// SPDX-License-Identifier: Apache-2.0
// The redirects that are renewed, the time, and the pace.
#include "client/daemon/redirects/renewal_plan.h"

#include <gtest/gtest.h>

namespace trap::client {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t learnt_at = 1000 * second_ns;
constexpr std::uint64_t redirect_lifetime = 600 * second_ns;
constexpr std::uint64_t last_quarter =
    learnt_at + redirect_lifetime / 4 * 3; // where the last one begins

RenewalPlan::Entry redirect(const std::string& local, std::uint64_t learnt_ns = learnt_at,
                            bool used = true) {
  RenewalPlan::Entry entry = {};
  entry.first.local = *parse_address(local);
  entry.first.service = *parse_address("203.0.113.10");
  entry.first.port = TRAP_BE16(80);
  entry.second.learnt_ns = learnt_ns;
  entry.second.until_ns = learnt_ns + redirect_lifetime;
  entry.second.used_ns = used ? learnt_ns + second_ns : 0;
  return entry;
}

TEST(RenewalPlan, asks_in_the_last_quarter_of_the_time) {
  RenewalPlan plan;
  const std::vector held = {redirect("192.0.2.2")};
  EXPECT_TRUE(plan.choose(held, last_quarter - 1).empty());
  EXPECT_EQ(plan.choose(held, last_quarter).size(), 1u);
  EXPECT_EQ(plan.counts().sent, 1u);
}

TEST(RenewalPlan, leaves_alone_what_is_not_in_use_over_or_learnt_from_a_reset) {
  RenewalPlan plan;
  std::vector held = {redirect("192.0.2.2", learnt_at, false),
                      redirect("192.0.2.3", learnt_at - redirect_lifetime), redirect("192.0.2.4")};
  held[2].second.flags = TRAP_REDIRECT_FROM_RESET;
  EXPECT_TRUE(plan.choose(held, last_quarter + second_ns).empty());
}

TEST(RenewalPlan, asks_three_times_and_counts_what_ends_without_an_answer) {
  RenewalPlan plan;
  const std::vector held = {redirect("192.0.2.2")};
  std::size_t asked = 0;
  for (std::uint64_t now = last_quarter; now < learnt_at + redirect_lifetime; now += second_ns)
    asked += plan.choose(held, now).size();
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(plan.counts().failed, 0u);
  plan.choose(held, learnt_at + redirect_lifetime);
  plan.choose(held, learnt_at + redirect_lifetime + second_ns);
  EXPECT_EQ(plan.counts().failed, 1u);
  EXPECT_EQ(plan.counts().renewed, 0u);
}

TEST(RenewalPlan, counts_what_came_and_starts_anew_with_it) {
  RenewalPlan plan;
  EXPECT_EQ(plan.choose({redirect("192.0.2.2")}, last_quarter).size(), 1u);
  const std::vector renewed = {redirect("192.0.2.2", last_quarter + second_ns)};
  EXPECT_TRUE(plan.choose(renewed, last_quarter + 2 * second_ns).empty());
  EXPECT_EQ(plan.counts().renewed, 1u);
  EXPECT_EQ(plan.choose(renewed, last_quarter + second_ns + redirect_lifetime / 4 * 3).size(), 1u);
  EXPECT_EQ(plan.counts().failed, 0u);
}

TEST(RenewalPlan, what_was_forgotten_has_not_failed) {
  RenewalPlan plan;
  EXPECT_EQ(plan.choose({redirect("192.0.2.2")}, last_quarter).size(), 1u);
  plan.choose({}, last_quarter + second_ns);
  plan.choose({}, learnt_at + 2 * redirect_lifetime);
  EXPECT_EQ(plan.counts().failed, 0u);
}

TEST(RenewalPlan, asks_for_a_bounded_number_at_once_the_most_urgent_first) {
  RenewalPlan plan;
  std::vector<RenewalPlan::Entry> held;
  for (int host = 0; host < 200; host++)
    held.push_back(redirect("192.0.2." + std::to_string(host),
                            learnt_at + static_cast<std::uint64_t>(199 - host) * second_ns / 10));
  const std::uint64_t now = last_quarter + 30 * second_ns;
  const auto first = plan.choose(held, now);
  ASSERT_EQ(first.size(), RenewalPlan::most_at_once);
  EXPECT_TRUE(trap_address_equal(&first[0].first.local, &held[199].first.local));
  EXPECT_EQ(plan.choose(held, now + second_ns).size(), RenewalPlan::most_at_once);
  EXPECT_EQ(plan.counts().sent, 2 * RenewalPlan::most_at_once);
}

} // namespace
} // namespace trap::client
