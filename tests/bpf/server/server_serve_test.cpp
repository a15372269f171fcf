// SPDX-License-Identifier: Apache-2.0
// Services that serve: the SYN-ACK's kernel cookie and options, against the stack that has to
// believe them.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <ctime>

#include "tests/bpf/server/serving.h"

namespace trap::test {
namespace {

TEST_P(Serving, an_ack_goes_to_the_listener_or_is_redirected_or_is_dropped) {
  const Answer answer = answer_to(40000, linux_options());
  EXPECT_EQ(answer.ack, serving_isn + 1);
  EXPECT_EQ(answer.window, 64240u);
  EXPECT_EQ(verdict_of(completing(40000, answer)), "drop-no-listener");
  const Socket listener = listen_on(GetParam(), offering_port);
  EXPECT_EQ(verdict_of(completing(40000, answer)), "pass-cookie");
  EXPECT_EQ(verdict_of(completing(40000, answer, {{"options", {{{"accept", 0}}}}})),
            "reply-redirect");
  // A kernel cookie that is off by up to three may be that of another MSS, of which there are four.
  for (const std::uint32_t ack : {answer.seq - 3, answer.seq + 5, answer.seq ^ 0x80000000, 0u})
    EXPECT_EQ(verdict_of(completing(40000, answer, {{"ack", ack}})), "drop-bad-cookie")
        << ack - answer.seq;
  EXPECT_EQ(verdict_of(completing(40000, answer, {{"seq", serving_isn + 5}})), "drop-bad-cookie");
  EXPECT_EQ(verdict_of(completing(40001, answer)), "drop-bad-cookie");
  for (const char* const flags : {"R", "RA", "SA"})
    EXPECT_TRUE(verdict_of(completing(40000, answer, {{"flags", flags}})).starts_with("drop-"))
        << flags;
}

TEST_P(Serving, a_service_without_offer_serves_who_accepts_too) {
  const Answer answer = answer_to(40000, linux_options(), plain_port);
  EXPECT_FALSE(answer.options.contains(TRAP_KIND_RESERVED));
  const Socket listener = listen_on(GetParam(), plain_port);
  for (const Json& options : {Json::array(), Json::array({{{"accept", 0}}})})
    EXPECT_EQ(verdict_of(completing(40000, answer, {{"dport", plain_port}, {"options", options}})),
              "pass-cookie")
        << options;
}

TEST_P(Serving, options_are_those_of_the_syn_and_never_more) {
  const Json mss = {{"mss", 1300}};
  const Json timestamps = {{"hex", "080a000010e100000000"}};
  const Json scale = {{"hex", "030309"}};
  const Json sack = {{"hex", "0402"}};
  for (int mask = 0; mask < 16; mask++) {
    Json options = Json::array();
    for (const auto& [bit, option] : {std::pair{1, scale}, {2, timestamps}, {4, sack}, {8, mss}}) {
      if ((mask & bit) != 0)
        options.push_back(option);
    }
    const Answer answer = answer_to(41000 + mask, options);
    const bool stamped = (mask & 2) != 0;
    EXPECT_EQ(answer.options.contains(TCPOPT_MAXSEG), (mask & 8) != 0) << options;
    EXPECT_EQ(answer.options.contains(TCPOPT_TIMESTAMP), stamped) << options;
    EXPECT_EQ(answer.options.contains(TCPOPT_WINDOW), stamped && (mask & 1) != 0) << options;
    EXPECT_EQ(answer.options.contains(TCPOPT_SACK_PERMITTED), stamped && (mask & 4) != 0)
        << options;
    EXPECT_TRUE(answer.options.contains(TRAP_KIND_RESERVED)) << options;
    if ((mask & 8) != 0) {
      EXPECT_EQ(read_number(answer.options.at(TCPOPT_MAXSEG), 0, 2), 1400u);
    }
    if (stamped) {
      EXPECT_EQ(read_number(answer.options.at(TCPOPT_TIMESTAMP), 4, 4), 0x10e1u)
          << "TSecr is not the client's TSval";
    }
  }
}

constexpr unsigned loopback_index = 1;

trap_next_hop next_hop(unsigned interface, const Bytes& from, std::uint8_t last) {
  trap_next_hop hop = {};
  hop.interface_index = interface;
  std::copy_n(from.begin(), 6, hop.from);
  const std::uint8_t to[6] = {2, 0, 0, 9, 9, last};
  std::copy_n(to, 6, hop.to);
  return hop;
}

TEST_P(Serving, answers_go_to_the_next_hop_that_the_daemon_names) {
  const Json syn = packet(40000, {{"flags", "S"}, {"seq", serving_isn}, {"dport", plain_port}});
  const Bytes frame = build(syn);
  const Bytes sender(frame.begin() + 6, frame.begin() + 12);
  const auto destination = [&] {
    Bytes out;
    EXPECT_EQ(verdict_of(syn, &out), "reply-syn-ack");
    return Bytes(out.begin(), out.begin() + 6);
  };
  const Bytes other = {2, 0, 0, 9, 9, 1};
  server_->put("next_hops", std::uint32_t{3}, next_hop(loopback_index, sender, 1));
  EXPECT_EQ(destination(), sender) << "no service asks for it";
  change_flags(TRAP_SERVICE_NEXT_HOPS, 0);
  EXPECT_EQ(destination(), other);
  server_->put("next_hops", std::uint32_t{3}, next_hop(loopback_index + 1, sender, 1));
  EXPECT_EQ(destination(), sender) << "by another interface";
  server_->put("next_hops", std::uint32_t{3}, next_hop(loopback_index, other, 1));
  EXPECT_EQ(destination(), sender) << "of another neighbour";
}

trap_sender only_sender(Object& server, bool completed) {
  trap_sender found = {};
  for (std::uint32_t i = 0; i < TRAP_SENDERS / 2; i++) {
    const auto sender = server.get<trap_sender>("senders", i + (completed ? TRAP_SENDERS / 2 : 0));
    if (sender.state == TRAP_SENDER_TOLD)
      found = sender;
  }
  return found;
}

TEST_P(Serving, a_sample_of_clients_is_told_with_the_neighbour_that_they_come_by) {
  server_->restore("senders");
  const Socket listener = listen_on(GetParam(), plain_port);
  const Answer answer = answer_to(40000, linux_options(), plain_port);
  const Json ack = completing(40000, answer, {{"dport", plain_port}});
  const Bytes frame = build(ack);
  EXPECT_EQ(only_sender(*server_, false).interface_index, loopback_index);
  EXPECT_EQ(only_sender(*server_, true).state, std::uint32_t{TRAP_SENDER_FREE});
  EXPECT_EQ(verdict_of(ack), "pass-cookie");
  const trap_sender sender = only_sender(*server_, true);
  EXPECT_EQ(sender.interface_index, loopback_index);
  EXPECT_TRUE(std::equal(sender.mac, sender.mac + 6, frame.begin() + 6));
  EXPECT_NE(sender.slot, 0);
}

TEST_P(Serving, options_that_the_stack_would_not_read_are_not_answered) {
  change_flags(0, TRAP_SERVICE_TIMESTAMPS);
  const Answer bare = answer_to(40000, linux_options(), plain_port);
  EXPECT_EQ(bare.options.size(), 1u);
  EXPECT_TRUE(bare.options.contains(TCPOPT_MAXSEG));

  change_flags(TRAP_SERVICE_TIMESTAMPS, TRAP_SERVICE_SACK);
  const Answer without_sack = answer_to(40000, linux_options(), plain_port);
  EXPECT_FALSE(without_sack.options.contains(TCPOPT_SACK_PERMITTED));
  EXPECT_TRUE(without_sack.options.contains(TCPOPT_WINDOW));
  EXPECT_EQ(without_sack.tsval().value() & 63, 7u);

  change_flags(TRAP_SERVICE_SACK, TRAP_SERVICE_SCALES);
  const Answer without_scale = answer_to(40000, linux_options(), plain_port);
  EXPECT_TRUE(without_scale.options.contains(TCPOPT_SACK_PERMITTED));
  EXPECT_FALSE(without_scale.options.contains(TCPOPT_WINDOW));
  EXPECT_EQ(without_scale.tsval().value() & 63, 16u | 15u);
}

// net/ipv4/syncookies.c: bits 0 to 3 are the window scale or 15, bit 4 is SACK, bit 5 is ECN; the
// rest is the clock, not ahead of it.
TEST_P(Serving, a_timestamp_carries_window_scale_and_sack_and_is_hardly_behind_the_clock) {
  timespec tick = {};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  const auto tick_ms = static_cast<std::uint32_t>(tick.tv_nsec / 1'000'000 + 1);
  for (int scale = -1; scale <= 14; scale++) {
    for (const bool sack : {false, true}) {
      Json options = Json::array({{{"hex", "080a000010e100000000"}}});
      if (scale >= 0)
        options.push_back({{"hex", std::string("01030") + "3" + "0" + "0123456789abcdef"[scale]}});
      if (sack)
        options.push_back({{"hex", "0402"}});
      const auto before_ms = static_cast<std::uint32_t>(coarse_ns() / 1'000'000);
      const std::uint32_t tsval = answer_to(40000, options).tsval().value();
      timespec after = {};
      clock_gettime(CLOCK_MONOTONIC, &after);
      const auto after_ms =
          static_cast<std::uint32_t>(after.tv_sec * 1000 + after.tv_nsec / 1'000'000);
      EXPECT_EQ(tsval & 63, static_cast<std::uint32_t>(scale < 0 ? 15 : scale) | (sack ? 16u : 0u));
      EXPECT_LE(static_cast<std::int32_t>(tsval - after_ms), 0) << "ahead of the stack's clock";
      EXPECT_LT(static_cast<std::int32_t>(before_ms - tsval),
                static_cast<std::int32_t>(64 + tick_ms));
    }
  }
}

tcp_info info_of(const Socket& socket) {
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (getsockopt(socket.fd(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    throw std::runtime_error("TCP_INFO");
  return info;
}

TEST_P(Serving, the_stack_accepts_the_ack_and_believes_every_option) {
  const Socket listener = listen_on(GetParam(), offering_port);
  const Socket stirring = connect_from(
      GetParam(), 39999, offering_port); // the listener sends a cookie: it will accept some
  const Socket stirred = accept_from(listener);
  for (const bool rich : {true, false}) {
    const int port = rich ? 40000 : 40001;
    const Answer answer = answer_to(port, rich ? linux_options() : Json::array({{{"mss", 1300}}}));
    const Json ack = completing(port, answer);
    ASSERT_EQ(verdict_of(ack), "pass-cookie");
    const Bytes frame = build(ack);
    inject(GetParam(), Bytes(frame.begin() + 14, frame.end()));
    const Socket served = accept_from(listener);
    const tcp_info info = info_of(served);
    EXPECT_EQ(info.tcpi_state, TCP_ESTABLISHED);
    EXPECT_EQ(info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE),
              rich ? TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE : 0);
    EXPECT_EQ(info.tcpi_snd_wscale, rich ? 7 : 0);
    EXPECT_LE(info.tcpi_snd_mss, rich ? 1448 : 1300) << "more than the client said";
    EXPECT_GE(info.tcpi_snd_mss, rich ? 1400 : 1220);
    EXPECT_EQ(verdict_of(completing(port, answer)), "pass-socket");
  }
}

TEST_P(Serving, without_syncookies_the_answer_is_the_same_and_the_stack_refuses_the_ack) {
  set_tcp_sysctl("tcp_syncookies", 0);
  const Socket listener = listen_on(GetParam(), offering_port);
  const Answer answer = answer_to(40000, linux_options());
  const Json ack = completing(40000, answer);
  EXPECT_EQ(verdict_of(ack), "pass-cookie");
  const Bytes frame = build(ack);
  inject(GetParam(), Bytes(frame.begin() + 14, frame.end()));
  // Whoever comes next is the first that the listener has.
  const Socket next = connect_from(GetParam(), 40001, offering_port);
  const Socket accepted = accept_from(listener);
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  ASSERT_EQ(getpeername(accepted.fd(), reinterpret_cast<sockaddr*>(&peer), &size), 0);
  EXPECT_EQ(reinterpret_cast<const sockaddr_in*>(&peer)->sin_port,
            TRAP_BE16(40001)); // at the same place in sockaddr_in6
}

TEST_P(Serving, who_is_to_be_served_by_policy_is_served_though_he_accepts) {
  const std::uint32_t policed_slot = GetParam() == 4 ? 15 : 25;
  const std::uint32_t slot = GetParam() == 4 ? 18 : 28;
  const int trie = bpf_map_get_fd_by_id(server_->get<std::uint32_t>("policies", policed_slot));
  ASSERT_GE(trie, 0);
  server_->put("policies", slot, trie);
  close(trie);
  change_flags(TRAP_SERVICE_POLICED, 0);
  const Socket listener = listen_on(GetParam(), offering_port);
  for (const auto& [client, verdict] :
       {std::pair{"stranger", "pass-cookie"}, {"elsewhere", "reply-redirect"}}) {
    Json syn = packet(40000, {{"seq", serving_isn}});
    syn["ip"]["src"] = client;
    Bytes frame;
    ASSERT_EQ(verdict_of(syn, &frame), "reply-syn-ack");
    Json ack = completing(40000, Answer(frame, GetParam()), {{"options", {{{"accept", 0}}}}});
    ack["ip"]["src"] = client;
    EXPECT_EQ(verdict_of(ack), verdict);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Serving, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
