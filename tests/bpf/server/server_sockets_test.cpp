// SPDX-License-Identifier: Apache-2.0
// Services that serve: which segments the stack's own sockets let pass, half open, established and
// in TIME_WAIT, at war and at peace.
#include "tests/bpf/server/serving.h"

namespace trap::test {
namespace {

class ServingSockets : public Serving {};

TEST_P(ServingSockets, segments_of_a_connection_pass_and_those_of_others_do_not) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Socket client = connect_from(GetParam(), 40000, offering_port);
  const Socket accepted = accept_from(listener);
  for (const char* const flags : {"A", "PA", "FA", "R", "RA", "SA", "F", ""})
    EXPECT_EQ(verdict_of_flags(40000, flags), "pass-socket") << flags;
  EXPECT_EQ(verdict_of_flags(40001, "A"), "drop-bad-cookie");
  EXPECT_EQ(verdict_of_flags(40001, "R"), "drop-rst");
  EXPECT_EQ(verdict_of_flags(40001, "FA"), "drop-fin");
  EXPECT_EQ(verdict_of_flags(40001, "SA"), "drop-syn-ack");
}

TEST_P(ServingSockets, handshakes_in_progress_survive_the_change_to_peace_and_back) {
  set_tcp_sysctl("tcp_syncookies", 1);
  const Socket listener = listen_on(GetParam(), offering_port, true);
  const Answer answer = answer_to(40000, linux_options());
  change_flags(TRAP_SERVICE_RESTS, 0);
  EXPECT_EQ(verdict_of_flags(40000, "S"), "pass-syn-at-peace");
  EXPECT_EQ(verdict_of(completing(40000, answer)), "pass-cookie");
  EXPECT_EQ(verdict_of(completing(40000, answer, {{"options", {{{"accept", 0}}}}})),
            "reply-redirect");
  EXPECT_EQ(verdict_of(completing(40001, answer)), "pass-at-peace");
  const Socket client = connect_from(GetParam(), 40002, offering_port);
  EXPECT_EQ(verdict_of_flags(40002, "A"), "pass-handshake");
  change_flags(0, TRAP_SERVICE_RESTS);
  EXPECT_EQ(verdict_of_flags(40002, "A"), "pass-handshake");
  EXPECT_EQ(verdict_of(completing(40001, answer)), "drop-bad-cookie");
}

// A token costs four seconds, so that none comes meanwhile: TRAP must not wait for the daemon when
// there are too many.
TEST_P(ServingSockets, syns_above_the_limit_of_peace_are_answered) {
  const Socket listener = listen_on(GetParam(), offering_port);
  server_->restore("peace_caps");
  change_flags(TRAP_SERVICE_RESTS, 0);
  limit_peace(4'000'000'000);
  EXPECT_EQ(verdict_of_flags(40000, "S"), "pass-syn-at-peace");
  const Answer answer = answer_to(40002, linux_options());
  EXPECT_EQ(verdict_of(completing(40002, answer)), "pass-cookie");
  EXPECT_EQ(verdict_of_flags(40003, "A"), "pass-at-peace");
  change_flags(TRAP_SERVICE_LEFT, 0);
  EXPECT_EQ(verdict_of_flags(40004, "S"), "pass-syn-left");
  change_flags(0, TRAP_SERVICE_LEFT);
  limit_peace(0);
  EXPECT_EQ(verdict_of_flags(40004, "S"), "pass-syn-at-peace");
}

TEST_P(ServingSockets, segments_of_a_half_open_connection_pass) {
  set_tcp_sysctl("tcp_syncookies", 1);
  const Socket listener = listen_on(GetParam(), offering_port, true);
  const Socket client = connect_from(
      GetParam(), 40000, offering_port); // the listener waits for data before it believes him
  EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-handshake");
  EXPECT_EQ(verdict_of_flags(40001, "A"), "drop-bad-cookie");
}

TEST_P(ServingSockets, only_the_stack_judges_a_syn_that_reopens_a_connection) {
  const Socket listener = listen_on(GetParam(), offering_port);
  Socket client = connect_from(GetParam(), 40000, offering_port);
  Socket accepted = accept_from(listener);
  EXPECT_EQ(verdict_of_flags(40000, "S"), "reply-syn-ack") << "nothing closes yet";
  EXPECT_EQ(verdict_of_flags(40000, "FA"), "pass-socket");
  EXPECT_EQ(verdict_of_flags(40000, "S"), "reply-syn-ack") << "closing, and not in TIME_WAIT";
  accepted.reset();
  client.reset();
  EXPECT_EQ(verdict_of_reopening(40000), "pass-syn-time-wait");
  EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-socket");
  EXPECT_EQ(verdict_of_flags(40001, "S"), "reply-syn-ack");
}

// A server that closes first and has nothing more to say forgets its socket before the client's FIN
// comes: what is left is in TIME_WAIT.
TEST_P(ServingSockets, a_fin_that_meets_time_wait_is_noted_too) {
  const Socket listener = listen_on(GetParam(), offering_port);
  Socket client = connect_from(GetParam(), 40000, offering_port);
  accept_from(listener).reset();
  EXPECT_EQ(verdict_of_flags(40000, "FA"), "pass-socket");
  client.reset();
  EXPECT_EQ(verdict_of_reopening(40000), "pass-syn-time-wait");
}

INSTANTIATE_TEST_SUITE_P(Families, ServingSockets, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
