// SPDX-License-Identifier: Apache-2.0
// trapctl knock: its segments, and what it makes of each answer and each silence.
#include <gmock/gmock.h>

#include "ctl/knock/knock_service.h"
#include "dataplane/checksum.h"
#include "dataplane/segment.h"
#include "runtime/knock/knock_talk.h"

namespace trap::ctl {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint32_t isn = 1000, iss = 7000;

Endpoint at(const std::string& text) {
  return *parse_endpoint(text);
}

struct Ends {
  Endpoint local, service, backend;
};

const Ends v4 = {at("192.0.2.2:40000"), at("203.0.113.10:80"), at("198.51.100.20:8080")};
const Ends v6 = {at("[2001:db8:2::2]:40000"), at("[2001:db8:113::10]:80"),
                 at("[2001:db8:51::20]:8080")};

HandshakeSegment syn_ack(const Ends& ends, const Endpoint& from,
                         trap_option_type option = TRAP_OPTION_NONE) {
  return {.from = from,
          .to = ends.local,
          .flags = TRAP_TCP_SYN | TRAP_TCP_ACK,
          .seq = iss,
          .ack = isn + 1,
          .option = option};
}

HandshakeSegment redirect(const Ends& ends, const Endpoint& backend) {
  HandshakeSegment rst = {.from = ends.service,
                          .to = ends.local,
                          .flags = TRAP_TCP_RST | TRAP_TCP_ACK,
                          .seq = iss + 1,
                          .ack = isn + 1};
  rst.option = TRAP_REDIRECT;
  rst.redirection = Redirection{
      backend, 600, {.epoch = 3, .tag = 0, .expiry = 9, .mac = {1, 2, 3, 4, 5, 6, 7, 8}}};
  return rst;
}

// A talk that has been redirected and sent its first SYN with the ticket.
KnockTalk redirected(const Ends& ends) {
  KnockTalk talk(ends.local, ends.service, isn);
  talk.begin();
  EXPECT_EQ(talk.received(syn_ack(ends, ends.service, TRAP_OFFER))->segment.option, TRAP_ACCEPT);
  const auto syn = talk.received(redirect(ends, ends.backend));
  EXPECT_TRUE(syn && syn->ticket && syn->ticket->mac[7] == 8 && syn->segment.to == ends.backend);
  return talk;
}

TEST(Knock, segments_are_read_as_they_were_written_and_their_checksums_are_right) {
  const trap_ticket ticket = {.epoch = 1, .tag = 0, .expiry = 2, .mac = {1, 2, 3, 4, 5, 6, 7, 8}};
  for (const Ends& ends : {v4, v6}) {
    for (const bool experimental : {false, true}) {
      for (const trap_option_type option : {TRAP_OPTION_NONE, TRAP_TICKET, TRAP_ACCEPT}) {
        const std::uint8_t flags = option == TRAP_ACCEPT ? TRAP_TCP_ACK : TRAP_TCP_SYN;
        const HandshakeSegment segment = {.from = ends.local,
                                          .to = ends.service,
                                          .flags = flags,
                                          .seq = isn,
                                          .ack = iss,
                                          .option = option,
                                          .experimental = experimental};
        const auto bytes = build_transport(describe(segment, &ticket));
        const auto read =
            read_segment(ends.local.address, ends.service.address, bytes.data(), bytes.size());
        ASSERT_TRUE(read);
        EXPECT_EQ(read->from, segment.from);
        EXPECT_EQ(read->to, segment.to);
        EXPECT_EQ(read->flags, flags);
        EXPECT_EQ(read->seq, isn);
        EXPECT_EQ(read->ack, iss);
        EXPECT_EQ(read->option, option);
        EXPECT_EQ(read->experimental, experimental && option != TRAP_OPTION_NONE);
        __u64 sum = trap_sum_pseudo(&ends.local.address, &ends.service.address,
                                    family_of(ends.local.address), bytes.size());
        for (std::size_t i = 0; i < bytes.size(); i += 2)
          sum += static_cast<unsigned>(bytes[i]) | static_cast<unsigned>(bytes[i + 1]) << 8;
        EXPECT_EQ(trap_sum_fold(sum), 0);
        EXPECT_FALSE(
            read_segment(ends.local.address, ends.service.address, bytes.data(), bytes.size() - 1));
      }
    }
  }
}

TEST(Knock, an_accept_is_as_long_as_the_redirect_that_answers_it) {
  for (const auto& [ends, bytes] : {std::pair{v4, 44u}, std::pair{v6, 56u}}) {
    KnockTalk talk(ends.local, ends.service, isn);
    talk.begin();
    const auto ack = talk.received(syn_ack(ends, ends.service, TRAP_OFFER));
    ASSERT_TRUE(ack);
    EXPECT_EQ(build_transport(describe(ack->segment, nullptr)).size(), bytes);
  }
}

TEST(Knock, follows_a_redirect_to_the_service) {
  for (const Ends& ends : {v4, v6}) {
    KnockTalk talk = redirected(ends);
    EXPECT_FALSE(talk.over());
    EXPECT_FALSE(talk.received(syn_ack(ends, ends.backend)));
    EXPECT_EQ(talk.outcome(), KnockOutcome::redirected);
    EXPECT_FALSE(talk.unticketed());
    EXPECT_FALSE(talk.by_module());
    const auto farewell = talk.farewell();
    ASSERT_TRUE(farewell);
    EXPECT_EQ(farewell->segment.to, ends.backend);
    EXPECT_EQ(farewell->segment.flags, TRAP_TCP_RST);
  }
}

TEST(Knock, tries_without_the_ticket_after_two_silences_and_says_so) {
  KnockTalk talk = redirected(v4);
  EXPECT_TRUE(talk.silence()->ticket);
  EXPECT_FALSE(talk.silence()->ticket);
  talk.received(syn_ack(v4, v4.backend));
  EXPECT_EQ(talk.outcome(), KnockOutcome::redirected);
  EXPECT_TRUE(talk.unticketed());
  EXPECT_THAT(talk.reasons(), Not(IsEmpty()));
}

TEST(Knock, ends_when_the_service_is_silent_or_refuses) {
  KnockTalk talk = redirected(v4);
  talk.silence();
  talk.silence();
  EXPECT_FALSE(talk.silence());
  EXPECT_EQ(talk.outcome(), KnockOutcome::failed);
  EXPECT_THAT(talk.verdict(), HasSubstr("neither"));
  EXPECT_FALSE(talk.farewell());
  KnockTalk refused = redirected(v4);
  refused.received({.from = v4.backend,
                    .to = v4.local,
                    .flags = TRAP_TCP_RST | TRAP_TCP_ACK,
                    .seq = 0,
                    .ack = isn + 1});
  EXPECT_THAT(refused.verdict(), HasSubstr("refuses"));
}

TEST(Knock, learns_from_a_reset_without_an_offer_and_takes_silence_for_an_ordinary_server) {
  KnockTalk paper(v4.local, v4.service, isn);
  paper.begin();
  EXPECT_EQ(paper.received(syn_ack(v4, v4.service))->segment.option, TRAP_OPTION_NONE);
  EXPECT_TRUE(paper.waits_briefly());
  EXPECT_EQ(paper.received(redirect(v4, v4.backend))->segment.to, v4.backend);
  KnockTalk ordinary(v4.local, v4.service, isn);
  ordinary.begin();
  ordinary.received(syn_ack(v4, v4.service));
  EXPECT_FALSE(ordinary.silence());
  EXPECT_EQ(ordinary.outcome(), KnockOutcome::direct);
  EXPECT_EQ(ordinary.farewell()->segment.to, v4.service);
}

TEST(Knock, each_silence_on_the_way_has_its_own_verdict) {
  KnockTalk deaf(v4.local, v4.service, isn);
  deaf.begin();
  EXPECT_TRUE(deaf.silence());
  EXPECT_TRUE(deaf.silence());
  EXPECT_FALSE(deaf.silence());
  EXPECT_THAT(deaf.verdict(), HasSubstr("no answer to the SYN"));
  KnockTalk offered(v4.local, v4.service, isn);
  offered.begin();
  offered.received(syn_ack(v4, v4.service, TRAP_OFFER));
  EXPECT_FALSE(offered.waits_briefly());
  EXPECT_FALSE(offered.silence());
  EXPECT_THAT(offered.verdict(), HasSubstr("does not answer the ACK"));
}

TEST(Knock, believes_no_redirect_with_other_numbers_and_follows_none_to_a_forbidden_place) {
  for (const char* target : {"127.0.0.1:80", "169.254.1.1:80", "224.0.0.1:80", "203.0.113.10:80"}) {
    KnockTalk talk(v4.local, v4.service, isn);
    talk.begin();
    talk.received(syn_ack(v4, v4.service, TRAP_OFFER));
    EXPECT_FALSE(talk.received(redirect(v4, at(target)))) << target;
    EXPECT_EQ(talk.outcome(), KnockOutcome::failed) << target;
  }
  KnockTalk talk(v4.local, v4.service, isn);
  talk.begin();
  talk.received(syn_ack(v4, v4.service, TRAP_OFFER));
  HandshakeSegment forged = redirect(v4, v4.backend);
  forged.seq++;
  EXPECT_FALSE(talk.received(forged));
  EXPECT_THAT(talk.verdict(), HasSubstr("numbers"));
}

TEST(Knock, strangers_are_not_heard) {
  KnockTalk talk(v4.local, v4.service, isn);
  talk.begin();
  EXPECT_FALSE(talk.received(syn_ack(v4, v4.backend, TRAP_OFFER)));
  HandshakeSegment late = syn_ack(v4, v4.service, TRAP_OFFER);
  late.ack++;
  EXPECT_FALSE(talk.received(late));
  EXPECT_FALSE(talk.over());
}

TEST(Knock, tells_when_a_client_module_did_the_work) {
  KnockTalk talk(v4.local, v4.service, isn);
  talk.saw(talk.begin().segment, true, 1);
  talk.saw(syn_ack(v4, v4.service, TRAP_OFFER), false, 2);
  talk.saw({.from = v4.local, .to = v4.service, .flags = TRAP_TCP_ACK, .option = TRAP_ACCEPT}, true,
           3);
  talk.saw(redirect(v4, v4.backend), false, 4);
  talk.saw({.from = v4.local,
            .to = v4.backend,
            .flags = TRAP_TCP_SYN,
            .seq = isn,
            .option = TRAP_TICKET},
           true, 5);
  talk.saw(syn_ack(v4, v4.backend), false, 6);
  EXPECT_FALSE(talk.received(syn_ack(v4, v4.service)));
  EXPECT_EQ(talk.outcome(), KnockOutcome::redirected);
  EXPECT_TRUE(talk.by_module());
  EXPECT_EQ(talk.backend(), v4.backend);
  std::string by;
  for (const KnockStep& step : talk.steps())
    by += step.by_module ? 'm' : 'k';
  EXPECT_EQ(by, "kmmmmm") << "the SYN is the knock's, the rest the module's";
}

TEST(Knock, tells_whether_the_service_consented) {
  for (const trap_option_type option : {TRAP_CONSENT, TRAP_OPTION_NONE}) {
    KnockTalk talk = redirected(v4);
    EXPECT_FALSE(talk.received(syn_ack(v4, v4.backend, option)));
    EXPECT_EQ(talk.outcome(), KnockOutcome::redirected);
    EXPECT_EQ(talk.consented(), option == TRAP_CONSENT);
    EXPECT_EQ(talk.reasons().empty(), option == TRAP_CONSENT);
  }
}

TEST(Knock, took_every_step_itself_where_no_module_is_at_work) {
  KnockTalk talk(v4.local, v4.service, isn);
  const auto arrive = [&](const HandshakeSegment& segment) {
    talk.saw(segment, false, 1);
    const auto next = talk.received(segment);
    if (next)
      talk.saw(next->segment, true, 2);
  };
  talk.saw(talk.begin().segment, true, 0);
  arrive(syn_ack(v4, v4.service, TRAP_OFFER));
  arrive(redirect(v4, v4.backend));
  arrive(syn_ack(v4, v4.backend, TRAP_CONSENT));
  EXPECT_EQ(talk.outcome(), KnockOutcome::redirected);
  EXPECT_EQ(talk.steps().size(), 6u);
  for (const KnockStep& step : talk.steps())
    EXPECT_FALSE(step.by_module) << step.meaning;
}

// The SYN goes straight to the service: the answer has another source when it gets here.
TEST(Knock, sees_what_a_client_module_changes) {
  KnockTalk talk(v4.local, v4.service, isn);
  talk.begin();
  talk.saw({.from = v4.local,
            .to = v4.backend,
            .flags = TRAP_TCP_SYN,
            .seq = isn,
            .option = TRAP_TICKET},
           true, 1);
  talk.saw(syn_ack(v4, v4.backend, TRAP_CONSENT), false, 2);
  talk.received(syn_ack(v4, v4.service));
  EXPECT_EQ(talk.outcome(), KnockOutcome::redirected);
  EXPECT_TRUE(talk.consented());
  for (const KnockStep& step : talk.steps())
    EXPECT_TRUE(step.by_module) << step.meaning;
}

// The module follows a redirect, resets the target, and sends the SYN to the service again.
TEST(Knock, tells_that_a_client_module_refused_the_target) {
  for (const bool serves : {true, false}) {
    KnockTalk talk(v4.local, v4.service, isn);
    talk.saw(talk.begin().segment, true, 1);
    talk.saw({.from = v4.local, .to = v4.backend, .flags = TRAP_TCP_SYN, .seq = isn}, true, 2);
    talk.saw(syn_ack(v4, v4.backend), false, 3);
    talk.saw({.from = v4.local, .to = v4.backend, .flags = TRAP_TCP_RST, .seq = isn + 1}, true, 4);
    talk.saw({.from = v4.local, .to = v4.service, .flags = TRAP_TCP_SYN, .seq = isn}, true, 5);
    const HandshakeSegment end = serves ? syn_ack(v4, v4.service) : redirect(v4, v4.backend);
    talk.saw(end, false, 6);
    EXPECT_FALSE(talk.received(end));
    EXPECT_EQ(talk.outcome(), serves ? KnockOutcome::direct : KnockOutcome::failed);
    EXPECT_THAT(talk.verdict(), HasSubstr("did not consent"));
    EXPECT_THAT(talk.reasons(), Not(IsEmpty()));
  }
}

TEST(KnockService, is_an_address_or_a_name) {
  EXPECT_EQ(format_endpoint(*find_service("203.0.113.10:80")), "203.0.113.10:80");
  const auto local = find_service("localhost:8080");
  ASSERT_TRUE(local) << local.error().message;
  EXPECT_TRUE(format_endpoint(*local) == "127.0.0.1:8080" ||
              format_endpoint(*local) == "[::1]:8080")
      << format_endpoint(*local);
}

TEST(KnockService, without_a_port_or_with_no_such_name_is_an_error) {
  for (const char* wrong : {"localhost", "localhost:", "localhost:port", "203.0.113.300:80", ":80"})
    EXPECT_FALSE(find_service(wrong)) << wrong;
}

} // namespace
} // namespace trap::ctl
