// SPDX-License-Identifier: Apache-2.0
// Guards that hear announcements, and guards that do not, by connects on the loopback of a
// namespace: a listener with a full queue drops SYNs, as a guard does that was told nothing.
#include <chrono>
#include <functional>
#include <thread>

#include "server/daemon/announce/hearing.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using server::Health;
using server::Hearing;
using server::HearingChecks;
using server::ServerConfig;
using server::ServerPlan;

constexpr std::uint64_t step_ns = 1'000'000'000;

Health is_up(const Endpoint&) {
  return Health::up;
}

class HearingOfGuards : public OwnNetwork {
protected:
  // One service with a backend, given as 192.0.2.1 and reached at `at`, announced from 127.0.0.9.
  void follow(const Endpoint& at) {
    backend = {*parse_address("192.0.2.1"), at.port};
    config = {};
    config.announce_check_s = 1;
    config.announce_source = {source};
    server::ServiceConfig service;
    service.name = "web";
    service.addresses = {{*parse_address("203.0.113.10"), 80}};
    server::BackendConfig behind;
    behind.endpoint = backend;
    behind.guard = "web-1";
    behind.guard_address = at.address;
    service.backends = {behind};
    config.services = {service};
    plan = *server::make_plan(config, {});
    checks.follow(config, plan);
  }

  // Advances until the check under way has ended, at one moment of the test's clock.
  void advance(const std::function<bool()>& done) {
    for (int i = 0; i < 2000 && !done(); i++) {
      checks.advance(now_ns, may_announce, announce);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  Hearing hearing() const { return checks.hearing(source, backend); }

  ServerConfig config;
  ServerPlan plan;
  HearingChecks checks;
  Endpoint backend;
  trap_address source = *parse_address("127.0.0.9");
  std::uint64_t now_ns = 1000 * step_ns;
  unsigned announced = 0;
  bool allowed = true;
  HearingChecks::MayAnnounce may_announce = [this](const trap_address&, const Endpoint& to,
                                                   std::uint8_t scope) {
    EXPECT_EQ(to, backend);
    EXPECT_EQ(scope, TRAP_SCOPE_V4);
    return allowed;
  };
  HearingChecks::Announce announce = [this](const trap_address& from, std::uint32_t) {
    EXPECT_EQ(format_address(from), format_address(source));
    announced++;
    return true;
  };
};

TEST_F(HearingOfGuards, is_told_from_answers_to_connects_that_were_announced) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  follow(at);
  checks.advance(now_ns, may_announce, announce);
  EXPECT_EQ(announced, 0U); // the first one is due an interval later
  EXPECT_EQ(hearing(), Hearing::unknown);
  now_ns += step_ns;
  advance([&] { return hearing() != Hearing::unknown; });
  EXPECT_EQ(hearing(), Hearing::heard);
  EXPECT_EQ(announced, 1U);
  EXPECT_TRUE(checks.problems(is_up).empty());
}

TEST_F(HearingOfGuards, is_missed_after_three_silences_in_a_row) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at, 0);
  const Fd only = connection_to(at); // the queue is full
  follow(at);
  checks.advance(now_ns, may_announce, announce);
  for (int step = 0; step < 4; step++) { // each ends a check, but the first, and begins one
    EXPECT_EQ(hearing(), Hearing::unknown) << step;
    now_ns += step_ns;
    checks.advance(now_ns, may_announce, announce);
  }
  EXPECT_EQ(hearing(), Hearing::unheard);
  const auto problems = checks.problems(is_up);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems.front().find("does not hear announcements from 127.0.0.9"), std::string::npos);
  EXPECT_TRUE(checks.problems([](const Endpoint&) { return Health::down; }).empty());
  checks.follow(config, plan); // a reload keeps what is known
  EXPECT_EQ(hearing(), Hearing::unheard);
  config.announce_check_s = 0;
  checks.follow(config, plan);
  EXPECT_EQ(hearing(), Hearing::unknown);
}

TEST_F(HearingOfGuards, is_unknown_where_the_source_is_not_of_this_host) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  source = *parse_address("192.0.2.77");
  follow(at);
  checks.advance(now_ns, may_announce, announce);
  now_ns += step_ns;
  checks.advance(now_ns, may_announce, announce);
  EXPECT_EQ(announced, 1U);
  EXPECT_EQ(hearing(), Hearing::unknown);
}

TEST_F(HearingOfGuards, is_not_asked_for_where_health_would_depend_on_it) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  follow(at);
  allowed = false;
  checks.advance(now_ns, may_announce, announce);
  now_ns += step_ns;
  checks.advance(now_ns, may_announce, announce);
  EXPECT_EQ(announced, 0U);
  EXPECT_EQ(hearing(), Hearing::unknown);
  allowed = true;
  now_ns += step_ns;
  advance([&] { return hearing() != Hearing::unknown; });
  EXPECT_EQ(hearing(), Hearing::heard);
}

TEST_F(HearingOfGuards, takes_a_refusal_for_an_answer) {
  Endpoint at = loopback(4);
  listen_at(at); // closed at once
  follow(at);
  checks.advance(now_ns, may_announce, announce);
  now_ns += step_ns;
  advance([&] { return hearing() != Hearing::unknown; });
  EXPECT_EQ(hearing(), Hearing::heard);
}

} // namespace
} // namespace trap::test
