// SPDX-License-Identifier: Apache-2.0
// Services that serve with TRAP's own cookies: the cookie, and what goes with a completed handshake
// to the tc program.
#include <netinet/tcp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "server/handover.h"
#include "server/served_cookie.h"
#include "tests/bpf/server/serving.h"

namespace trap::test {
namespace {

constexpr std::uint32_t assigns = TRAP_SERVICE_ASSIGNS;

class Assigning : public Serving {
protected:
  void SetUp() override {
    Serving::SetUp();
    change_flags(assigns, 0);
  }

  // What is in front of the packet that went up; fails the test if nothing is.
  trap_handover handover_of(const Json& ack) {
    Bytes out;
    EXPECT_EQ(verdict_of(ack, &out), "pass-cookie");
    const Bytes sent = build(ack);
    return split(out, sent);
  }

  // Makes what one CPU has just handed over recent for an hour, and for every CPU.
  void hold_recent_handovers() {
    using Recent = trap_recent_handover;
    for (auto& [key, value] : server_->entries("recent_handovers")) {
      std::vector<Recent> of_cpus(value.size() / sizeof(Recent));
      std::memcpy(of_cpus.data(), value.data(), value.size());
      const auto used = std::ranges::find_if(of_cpus, [](const Recent& of) { return of.slot; });
      if (used == of_cpus.end())
        continue;
      Recent held = *used;
      held.monotonic_ns = coarse_ns() + 3'600'000'000'000;
      std::ranges::fill(of_cpus, held);
      Bytes changed(value.size());
      std::memcpy(changed.data(), of_cpus.data(), changed.size());
      server_->put("recent_handovers", key, changed);
    }
  }

  // Of a frame that went up, or was called on with at tc; the packet behind it must be the one that
  // was sent.
  trap_handover split(const Bytes& out, const Bytes& sent) const {
    trap_handover handover = {};
    if (!server_->is_xdp(part_under_test().programs[0])) {
      EXPECT_EQ(out, sent) << "the packet itself has changed";
      return handed_over_.handover;
    }
    EXPECT_EQ(out.size(), sent.size() + TRAP_HANDOVER_METADATA_BYTES);
    if (out.size() == sent.size() + TRAP_HANDOVER_METADATA_BYTES) {
      std::memcpy(&handover, out.data() + TRAP_HANDOVER_AT, sizeof handover);
      EXPECT_EQ(Bytes(out.begin() + TRAP_HANDOVER_METADATA_BYTES, out.end()), sent)
          << "the packet itself has changed";
    }
    return handover;
  }
};

TEST_P(Assigning, only_the_right_cookie_completes) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, linux_options());
  EXPECT_EQ(verdict_of(completing(40000, answer)), "pass-cookie");
  EXPECT_EQ(verdict_of(completing(40000, answer, {{"options", {{{"accept", 0}}}}})),
            "reply-redirect");
  for (int bit = 0; bit < 32; bit++)
    EXPECT_EQ(verdict_of(completing(40000, answer, {{"ack", (answer.seq ^ 1u << bit) + 1}})),
              "drop-bad-cookie")
        << "bit " << bit;
  EXPECT_EQ(verdict_of(completing(40001, answer)), "drop-bad-cookie");
  EXPECT_EQ(verdict_of(completing(40000, answer, {{"seq", serving_isn + 2}})), "drop-bad-cookie");
}

TEST_P(Assigning, a_cookie_says_the_mss) {
  for (const std::uint32_t mss : {536u, 1000u, 1220u, 1399u, 1460u, 9000u}) {
    const Answer answer = answer_to(40000, Json::array({{{"mss", mss}}}));
    EXPECT_EQ(trap_served_cookie_mss_index(answer.seq), trap_served_mss_index(mss)) << mss;
  }
  EXPECT_EQ(trap_served_cookie_mss_index(answer_to(40000, Json::array()).seq), 0u)
      << "without the option it is 536 (RFC 9293 3.7.1)";
}

TEST_P(Assigning, the_handover_has_what_was_agreed) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, linux_options());
  const Json ack = completing(40000, answer);
  const trap_handover handover = handover_of(ack);
  if (server_->is_xdp(part_under_test().programs[0]))
    EXPECT_EQ(handover.mark, TRAP_HANDOVER_MARK);
  EXPECT_EQ(handover.mss, trap_served_mss(trap_served_cookie_mss_index(answer.seq)));
  EXPECT_EQ(handover.flags, TRAP_HANDOVER_TIMESTAMPS | TRAP_HANDOVER_SACK | TRAP_HANDOVER_SCALES);
  EXPECT_EQ(handover.window_scales & 15, 7) << "as linux_options() has it";
  EXPECT_EQ(handover.window_scales >> 4, 7) << "as server_rig.cpp has it";
  EXPECT_LT(handover.echo - answer.tsval().value(), 1000U);
}

constexpr unsigned rounding_ms = 3; // of ticks, and of both clocks

// The stack takes the difference for the round trip.
TEST_P(Assigning, the_handover_says_how_long_the_client_took) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const auto began = std::chrono::steady_clock::now();
  Answer answer = answer_to(40000, linux_options());
  const std::uint32_t sent = answer.tsval().value();
  for (const auto& [ticks, milliseconds] : {std::pair{95U, 99U}, {1000U, 1048U}, {2900U, 0U}}) {
    answer.set_tsval(sent - (ticks << 6));
    const std::uint32_t took = handover_of(completing(40000, answer)).echo - answer.tsval().value();
    const auto since = std::chrono::steady_clock::now() - began;
    const auto own = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    EXPECT_GE(took, milliseconds) << ticks;
    EXPECT_LE(took, milliseconds + own + rounding_ms) << ticks << ": and what the test itself took";
  }
}

TEST_P(Assigning, a_plain_client_gets_a_plain_connection) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, Json::array({{{"mss", 536}}}));
  const trap_handover handover = handover_of(completing(40000, answer));
  EXPECT_EQ(handover.flags, 0);
  EXPECT_EQ(handover.mss, GetParam() == 4 ? 536 : 1220)
      << "the kernel takes no less than the family allows";
}

Json windows_options() { // as Windows sends them: no timestamps
  return Json::array({{{"hex", "020405b4"}}, {{"hex", "01030308"}}, {{"hex", "01010402"}}});
}

TEST_P(Assigning, a_client_without_timestamps_gets_its_options_by_the_cookie) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, windows_options());
  EXPECT_TRUE(answer.options.contains(TCPOPT_SACK_PERMITTED));
  ASSERT_TRUE(answer.options.contains(TCPOPT_WINDOW));
  EXPECT_FALSE(answer.tsval());
  const trap_handover handover = handover_of(completing(40000, answer));
  EXPECT_EQ(handover.flags, TRAP_HANDOVER_SACK | TRAP_HANDOVER_SCALES);
  EXPECT_EQ(handover.window_scales & 15, 8);
  EXPECT_EQ(handover.window_scales >> 4, 7) << "as server_rig.cpp has it";
  EXPECT_EQ(handover.mss, 1460);
  for (int bit = 7; bit < 32; bit++)
    EXPECT_EQ(verdict_of(completing(40000, answer, {{"ack", (answer.seq ^ 1u << bit) + 1}})),
              "drop-bad-cookie")
        << "bit " << bit;
  const Answer with_sack =
      answer_to(40001, Json::array({{{"hex", "020405b4"}}, {{"hex", "01010402"}}}));
  EXPECT_FALSE(with_sack.options.contains(TCPOPT_WINDOW));
  EXPECT_EQ(handover_of(completing(40001, with_sack)).flags, TRAP_HANDOVER_SACK);
  change_flags(0, TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES);
  EXPECT_EQ(handover_of(completing(40000, answer)).flags, 0) << "the stack has neither any more";
}

TEST_P(Assigning, ecn_is_agreed_on_where_the_stack_accepts_it) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const auto answer_flags = [&](const char* flags) {
    Bytes frame;
    EXPECT_EQ(
        verdict_of(
            packet(40000, {{"seq", serving_isn}, {"flags", flags}, {"options", linux_options()}}),
            &frame),
        "reply-syn-ack");
    return std::pair(frame.at(GetParam() == 4 ? 47 : 67), Answer(frame, GetParam()));
  };
  constexpr int syn_ack = 0x12, echo = 0x40;
  EXPECT_EQ(answer_flags("SEC").first, syn_ack) << "the service does not accept it";
  change_flags(TRAP_SERVICE_ECN, 0);
  EXPECT_EQ(answer_flags("S").first, syn_ack);
  EXPECT_EQ(answer_flags("SE").first, syn_ack) << "both bits set it up (RFC 3168 6.1.1)";
  const auto [flags, answer] = answer_flags("SEC");
  EXPECT_EQ(flags, syn_ack | echo);
  EXPECT_TRUE(handover_of(completing(40000, answer)).flags & TRAP_HANDOVER_ECN);
  change_flags(0, TRAP_SERVICE_ECN);
  EXPECT_FALSE(handover_of(completing(40000, answer)).flags & TRAP_HANDOVER_ECN);
}

// The ACK was lost: the client sends data and FIN again, and nothing else.
TEST_P(Assigning, data_with_a_fin_completes_a_handshake) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, linux_options());
  Json ack = completing(40000, answer, {{"flags", "FPA"}});
  ack["payload"] = 5;
  EXPECT_NE(handover_of(ack).flags, 0);
  EXPECT_EQ(verdict_of(completing(40000, answer, {{"flags", "FA"}, {"ack", answer.seq + 2}})),
            "drop-fin");
}

// What was switched off while the handshake was under way is not on afterwards, whatever the
// timestamp says.
TEST_P(Assigning, the_handover_asks_for_nothing_that_the_stack_has_not) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, linux_options());
  change_flags(0, TRAP_SERVICE_SACK | TRAP_SERVICE_SCALES);
  EXPECT_EQ(handover_of(completing(40000, answer)).flags, TRAP_HANDOVER_TIMESTAMPS);
  change_flags(0, TRAP_SERVICE_TIMESTAMPS);
  EXPECT_EQ(handover_of(completing(40000, answer)).flags, 0);
}

TEST_P(Assigning, the_stacks_own_cookies_go_up_alone_where_it_may_have_sent_some) {
  const Socket listener = listen_on(GetParam(), offering_port);
  change_flags(0, assigns);
  const Answer of_the_kernel = answer_to(40000, linux_options());
  change_flags(assigns, 0);
  EXPECT_EQ(verdict_of(completing(40000, of_the_kernel)), "drop-bad-cookie");
  change_flags(TRAP_SERVICE_STACK_COOKIES, 0);
  Bytes out;
  const Json ack = completing(40000, of_the_kernel);
  EXPECT_EQ(verdict_of(ack, &out), "pass-cookie");
  EXPECT_EQ(out, build(ack)) << "a handover would make another connection than the stack agreed to";
  EXPECT_EQ(verdict_of(completing(40000, of_the_kernel, {{"ack", of_the_kernel.seq + 9}})),
            "drop-bad-cookie");
}

// One poll brings the ACK, the request and the FIN before the stack has the connection.
TEST_P(Assigning, segments_right_behind_a_handover_go_up_marked_as_such) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, linux_options());
  const Json ack = completing(40000, answer);
  const std::string behind = "pass-behind-cookie";
  EXPECT_EQ(verdict_right_behind(completing(40000, answer, {{"seq", serving_isn + 1449}})),
            "drop-bad-cookie")
      << "nothing was handed over yet";
  EXPECT_EQ(verdict_right_behind(ack), "pass-cookie");
  hold_recent_handovers();
  Bytes out;
  EXPECT_EQ(verdict_right_behind(ack, &out), behind);
  EXPECT_EQ(split(out, build(ack)).flags, TRAP_HANDOVER_FOLLOWS);
  for (const char* const flags : {"A", "PA", "FA", "R"})
    EXPECT_EQ(verdict_right_behind(
                  completing(40000, answer, {{"seq", serving_isn + 1449}, {"flags", flags}})),
              behind)
        << flags;
  EXPECT_EQ(verdict_right_behind(completing(40001, answer)), "drop-bad-cookie")
      << "another client's";
  change_flags(0, assigns);
  EXPECT_EQ(verdict_right_behind(ack, &out), behind);
  EXPECT_EQ(out, build(ack)) << "the kernel's own cookies need no handover";
}

// The place in the sample that is in use; fails the test unless there is exactly one.
trap_watched_handover only_watched(Object& server) {
  trap_watched_handover found = {};
  int used = 0;
  for (std::uint32_t place = 0; place < TRAP_WATCHED_HANDOVERS; place++) {
    const auto watched = server.get<trap_watched_handover>("watched_handovers", place);
    if (watched.state == TRAP_WATCH_FREE)
      continue;
    found = watched;
    used++;
  }
  EXPECT_EQ(used, 1);
  return found;
}

TEST_P(Assigning, a_handshake_that_goes_up_is_watched_until_its_connection_is_there) {
  const Socket listener = listen_on(GetParam(), offering_port);
  handover_of(completing(40000, answer_to(40000, linux_options())));
  EXPECT_EQ(only_watched(*server_).state, TRAP_WATCH_WAITS);
  EXPECT_EQ(TRAP_FROM_BE16(only_watched(*server_).client_port), 40000);
  EXPECT_EQ(only_watched(*server_).flags, 0U);
  EXPECT_EQ(verdict_of_flags(40000, "PA"), "drop-bad-cookie");
  EXPECT_EQ(only_watched(*server_).state, TRAP_WATCH_WAITS) << "there is no connection yet";
  const Socket client = connect_from(GetParam(), 40000, offering_port);
  EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-socket");
  EXPECT_EQ(only_watched(*server_).state, TRAP_WATCH_ARRIVED);
}

TEST_P(Assigning, a_handshake_that_its_client_ends_proves_nothing) {
  const Socket listener = listen_on(GetParam(), offering_port);
  for (const char* const flags : {"R", "RA", "FA"}) {
    server_->restore("watched_handovers");
    handover_of(completing(40000, answer_to(40000, linux_options())));
    verdict_of_flags(40000, flags);
    EXPECT_EQ(only_watched(*server_).state, TRAP_WATCH_ENDED) << flags;
  }
}

// Whatever else the stack may drop for reasons of its own does not count against the host.
TEST_P(Assigning, only_handshakes_that_every_stack_takes_are_watched) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Json with_signature = {
      {"options", {{{"hex", "1312000102030405060708090a0b0c0d0e0f0101"}}}}};
  const auto places_after = [&](const Json& ack) {
    server_->restore("watched_handovers");
    handover_of(ack);
    int used = 0;
    for (std::uint32_t place = 0; place < TRAP_WATCHED_HANDOVERS; place++)
      used +=
          server_->get<trap_watched_handover>("watched_handovers", place).state != TRAP_WATCH_FREE;
    return used;
  };
  const Answer answer = answer_to(40000, Json::array({{{"mss", 1000}}}));
  EXPECT_EQ(places_after(completing(40000, answer)), 1);
  Json with_data = completing(40000, answer);
  with_data["payload"] = 5;
  EXPECT_EQ(places_after(with_data), 0);
  EXPECT_EQ(places_after(completing(40000, answer, with_signature)), 0);
  EXPECT_EQ(places_after(completing(40000, answer, {{"checksum_damage", 1}})), 0);
}

INSTANTIATE_TEST_SUITE_P(Families, Assigning, testing::Values(4, 6),
                         [](const auto& of) { return "ipv" + std::to_string(of.param); });

} // namespace
} // namespace trap::test
