// SPDX-License-Identifier: Apache-2.0
// Answers that drivers do not take from XDP are found by the drivers' own counters.
#include <gmock/gmock.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/watch/answer_losses.h"

namespace trap::test {
namespace {

using server::AnswerLosses;
using server::losses_among;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(AnswerLosses, are_told_by_the_names_that_drivers_give) {
  const auto losses = losses_among({{"rx_queue_0_xdp_tx_errors", 1}, // veth
                                    {"rx_queue_0_xdp_tx", 9},        //
                                    {"rx_queue_0_xdp_drops", 9},     // XDP_DROP
                                    {"rx0_xdp_tx_full", 2},          // mlx5
                                    {"rx0_xdp_tx_err", 3},           //
                                    {"rx_queue_0_xdp_tx_drops", 4},  // virtio_net
                                    {"tx_queue_0_xdp_xmit_errors", 5},
                                    {"tx_errors", 9}});
  EXPECT_EQ(losses.size(), 5u);
  EXPECT_FALSE(losses.contains("rx_queue_0_xdp_tx"));
  EXPECT_FALSE(losses.contains("rx_queue_0_xdp_drops"));
  EXPECT_FALSE(losses.contains("tx_errors"));
}

TEST(AnswerLosses, are_a_problem_for_a_minute) {
  AnswerLosses losses;
  losses.note(1 * ns_per_s, "eth0", {{"xdp_tx_errors", 7}});
  EXPECT_THAT(losses.problems(1 * ns_per_s), IsEmpty()) << "before this daemon";
  losses.note(6 * ns_per_s, "eth0", {{"xdp_tx_errors", 8}});
  EXPECT_THAT(losses.problems(6 * ns_per_s), ElementsAre(HasSubstr("eth0")));
  EXPECT_THAT(losses.problems(65 * ns_per_s), ElementsAre(HasSubstr("xdp_tx_errors rises")));
  EXPECT_THAT(losses.problems(66 * ns_per_s), IsEmpty());
  losses.note(70 * ns_per_s, "eth0", {{"xdp_tx_errors", 8}});
  EXPECT_THAT(losses.problems(70 * ns_per_s), IsEmpty());
}

} // namespace
} // namespace trap::test
