// SPDX-License-Identifier: Apache-2.0
// A guard on a router: flows of a service whose sockets are elsewhere are half-open, open and
// closing by what both sides send, and by the numbers that the service shows.
#include "tests/bpf/guard/elsewhere.h"

namespace trap::test {
namespace {

using GuardElsewhere = Elsewhere;

TEST_P(GuardElsewhere, a_rst_with_a_wrong_number_ends_no_count) {
  for (int i = 0; i < 200; i++) {
    const int port = first_port + i;
    const bool passes = is(TRAP_PASS_ANNOUNCED, "S", client_isn, 0, port);
    ASSERT_EQ(passes, i < 20) << i;
    if (!passes)
      continue;
    leaves("SA", client_isn + 1, 0, port);
    ASSERT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 1, service_isn + 1, port));
    for (const std::uint32_t seq : {client_isn, client_isn + 2, client_isn + 0x80000000})
      ASSERT_TRUE(is(TRAP_PASS_FLOW, "R", seq, 0, port));
  }
  EXPECT_EQ(open(), 20u);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R"));
  EXPECT_EQ(open(), 19u) << "one with the right number does";
}

TEST_P(GuardElsewhere, the_number_is_the_one_that_the_service_acknowledged_last) {
  connect();
  leaves("A", client_isn + 501);
  leaves("A", client_isn + 301); // overtaken
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R"));
  EXPECT_EQ(open(), 1u);
  EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R", client_isn + 501));
  EXPECT_EQ(open(), 0u);
}

TEST_P(GuardElsewhere, an_end_ahead_of_the_service_changes_nothing_unless_data_leads_to_it) {
  for (const char* flags_of_end : {"R", "RA", "FA"}) {
    SetUp();
    connect();
    EXPECT_TRUE(is(TRAP_PASS_FLOW, flags_of_end, client_isn + 101));
    EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED) << flags_of_end;
    const auto sends = [&](std::uint32_t seq, int bytes) {
      return is(TRAP_PASS_FLOW, "PA", seq, service_isn + 1, first_port, bytes);
    };
    EXPECT_TRUE(sends(client_isn + 51, 50)); // what is before it was lost
    EXPECT_TRUE(is(TRAP_PASS_FLOW, flags_of_end, client_isn + 101));
    EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED) << flags_of_end;
    EXPECT_TRUE(sends(client_isn + 1, 50));
    EXPECT_TRUE(sends(client_isn + 51, 50));
    EXPECT_TRUE(is(TRAP_PASS_FLOW, flags_of_end, client_isn + 101));
    EXPECT_NE(flags() & TRAP_FLOW_CLOSING, 0) << flags_of_end;
  }
}

TEST_P(GuardElsewhere, data_with_a_guessed_number_leads_to_no_end) {
  connect();
  for (const std::uint32_t ahead : {1u, 1000u, 1u << 20, 1u << 31}) {
    EXPECT_TRUE(is(TRAP_PASS_FLOW, "PA", client_isn + 1 + ahead, service_isn + 1, first_port, 10));
    EXPECT_TRUE(is(TRAP_PASS_FLOW, "R", client_isn + 11 + ahead));
    EXPECT_EQ(flags(), TRAP_FLOW_BUDGETED) << ahead;
  }
  EXPECT_EQ(open(), 1u);
}

TEST_P(GuardElsewhere, a_flow_that_ended_counts_again_when_the_service_goes_on) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "R"));
  EXPECT_EQ(open(), 0u);
  leaves("PA", client_isn + 1, 100);
  EXPECT_EQ(open(), 0u) << "that was on its way";
  wait_s(2);
  leaves("PA", client_isn + 1, 100);
  EXPECT_EQ(open(), 1u);
}

TEST_P(GuardElsewhere, both_fins_end_a_flow_in_either_order) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "FA"));
  EXPECT_EQ(open(), 1u);
  leaves("A", client_isn + 2);
  EXPECT_EQ(open(), 1u) << "the service has more to say";
  leaves("FA", client_isn + 2);
  EXPECT_EQ(open(), 0u);
  SetUp();
  connect();
  leaves("FA");
  EXPECT_EQ(open(), 1u);
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 1, service_isn + 2));
  EXPECT_EQ(open(), 1u) << "the client has more to say";
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "FA", client_isn + 1, service_isn + 2));
  EXPECT_EQ(open(), 0u);
}

TEST_P(GuardElsewhere, a_rst_of_the_service_ends_a_flow) {
  connect();
  leaves("RA");
  EXPECT_EQ(open(), 0u);
}

TEST_P(GuardElsewhere, what_the_client_sends_prolongs_no_closing_flow_and_the_service_does) {
  connect();
  EXPECT_TRUE(is(TRAP_PASS_FLOW, "FA"));
  wait_s(59);
  leaves("PA", client_isn + 2, 100);
  wait_s(59);
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(is(TRAP_PASS_FLOW, "A", client_isn + 2));
  wait_s(2);
  EXPECT_TRUE(is(TRAP_DROP_NO_FLOW, "A", client_isn + 2));
}

INSTANTIATE_TEST_SUITE_P(Families, GuardElsewhere, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
