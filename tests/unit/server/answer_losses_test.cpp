// SPDX-License-Identifier: Apache-2.0
// Answers that drivers do not take from XDP are found by the drivers' own counters.
#include <gmock/gmock.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/watch/answer_losses.h"

namespace trap::test {
namespace {

using server::AnswerLosses;
using server::losses_among;
using server::sent_among;
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
  EXPECT_EQ(sent_among({{"rx_queue_0_xdp_tx_errors", 1}, {"rx_queue_0_xdp_tx", 9}, {"tx", 4}}), 9u);
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

// That an interface loses some answers is one thing; another that no client gets any.
TEST(AnswerLosses, of_nearly_all_answers_are_told_from_those_of_some) {
  AnswerLosses losses;
  losses.note(1 * ns_per_s, "eth0", {{"xdp_tx_errors", 7}, {"xdp_tx", 70}});
  losses.note(6 * ns_per_s, "eth0", {{"xdp_tx_errors", 10}, {"xdp_tx", 70}});
  EXPECT_FALSE(losses.loses_all("eth0", 6 * ns_per_s)) << "three are too few";
  losses.note(11 * ns_per_s, "eth0", {{"xdp_tx_errors", 1010}, {"xdp_tx", 470}});
  EXPECT_FALSE(losses.loses_all("eth0", 11 * ns_per_s)) << "a third is sent";
  losses.note(16 * ns_per_s, "eth0", {{"xdp_tx_errors", 1020}, {"xdp_tx", 473}});
  EXPECT_TRUE(losses.loses_all("eth0", 16 * ns_per_s));
  EXPECT_THAT(losses.problems(300 * ns_per_s), ElementsAre(HasSubstr("xdp_tx_errors rises")))
      << "as long as the stack answers in their place";
  EXPECT_TRUE(losses.loses_all("eth0", 615 * ns_per_s));
  EXPECT_FALSE(losses.loses_all("eth0", 616 * ns_per_s)) << "time for another attempt";
  losses.note(620 * ns_per_s, "eth0", {{"xdp_tx_errors", 1030}, {"xdp_tx", 473}});
  EXPECT_TRUE(losses.loses_all("eth0", 620 * ns_per_s));
  losses.retry();
  EXPECT_FALSE(losses.loses_all("eth0", 620 * ns_per_s)) << "after a reload";
}

TEST(AnswerLosses, of_one_interface_among_others_leave_the_service_to_the_cookies) {
  AnswerLosses losses;
  EXPECT_FALSE(losses.loses_all(1)) << "without interfaces";
  losses.note(1, "eth0", {});
  losses.note_peer("veth0", true);
  EXPECT_TRUE(losses.loses_all("veth0", 1));
  EXPECT_FALSE(losses.loses_all(1));
  EXPECT_THAT(losses.problems(1), ElementsAre(HasSubstr("veth0: its driver does not send")));
  losses.note_peer("eth0", true);
  EXPECT_TRUE(losses.loses_all(1));
  losses.note_peer("eth0", false);
  EXPECT_FALSE(losses.loses_all(1));
}

} // namespace
} // namespace trap::test
