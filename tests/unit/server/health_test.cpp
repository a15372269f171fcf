// SPDX-License-Identifier: Apache-2.0
// Health of backends: the rule, and checks of real listeners on the loopback of a namespace. Time
// is the test's own.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>

#include "server/daemon/watch/health.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using server::Health;
using server::HealthChecker;
using server::HealthSettings;
using server::HealthTrack;

constexpr std::uint64_t ms = 1'000'000;

Health after(const std::string& results, HealthSettings settings = {}) {
  HealthTrack track;
  for (const char result : results)
    track.note(result == '+', settings);
  return track.health();
}

TEST(HealthTrack, follows_rise_and_fall) {
  EXPECT_EQ(after(""), Health::unknown);
  EXPECT_EQ(after("+"), Health::unknown);
  EXPECT_EQ(after("++"), Health::up);
  EXPECT_EQ(after("+-+-+-"), Health::unknown);
  EXPECT_EQ(after("----------"),
            Health::unknown); // a guard that does not trust us must not take the service down
  EXPECT_EQ(after("----++"), Health::up);
  EXPECT_EQ(after("++--"), Health::up);
  EXPECT_EQ(after("++--+--"), Health::up);
  EXPECT_EQ(after("++---"), Health::down);
  EXPECT_EQ(after("++---+"), Health::down);
  EXPECT_EQ(after("++---+-+"), Health::down);
  EXPECT_EQ(after("++---++"), Health::up);
  EXPECT_EQ(after("+", {.rise = 1}), Health::up);
  EXPECT_EQ(after("+-", {.rise = 1, .fall = 1}), Health::down);
}

TEST(HealthTrack, says_when_it_changes) {
  HealthTrack track;
  std::string changes;
  for (const char result : std::string("-+++----++"))
    changes += track.note(result == '+', {}) ? '!' : '.';
  EXPECT_EQ(changes, "..!...!..!");
}

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

class Checks : public OwnNetwork {
protected:
  // Advances at one moment of the test's clock until `done`: the kernel may need a little of its
  // own.
  bool advance_until(const std::function<bool()>& done) {
    for (int i = 0; i < 2000; i++) {
      changed = checker.advance(now_ns) || changed;
      if (done())
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  HealthChecker checker;
  std::uint64_t now_ns = 1'000'000 * ms;
  bool changed = false;
};

TEST_F(Checks, find_backends_up_in_both_families_and_then_down) {
  for (const int family : {4, 6}) {
    Endpoint backend = loopback(family);
    Fd listener = listen_at(backend);
    checker.watch({{backend, {}}});
    changed = false;
    int connections = 0;
    const auto arrived = [&](int wanted) {
      return [&, wanted] { return (connections += accepted(listener)) == wanted; };
    };
    EXPECT_TRUE(advance_until(arrived(1)));
    checker.advance(now_ns);
    EXPECT_EQ(checker.health(backend), Health::unknown);
    now_ns += 1999 * ms;
    checker.advance(now_ns);
    EXPECT_EQ(accepted(listener), 0); // not due yet
    now_ns += ms;
    EXPECT_TRUE(advance_until([&] { return checker.health(backend) == Health::up; }));
    EXPECT_TRUE(changed);
    EXPECT_EQ(accepted(listener), 1);
    EXPECT_EQ(checker.last_error(backend), "");

    listener.reset();
    const std::ptrdiff_t idle = open_descriptors();
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(checker.health(backend), Health::up);
      now_ns += 2000 * ms;
      EXPECT_TRUE(advance_until([&] { return open_descriptors() == idle; })); // the check is over
      EXPECT_NE(checker.last_error(backend).find("refused"), std::string::npos);
    }
    EXPECT_EQ(checker.health(backend), Health::down);
    checker.watch({{backend, {.interval_ms = 500}}}); // a backend that stays keeps its health
    EXPECT_EQ(checker.health(backend), Health::down);
    checker.watch({});
    EXPECT_EQ(checker.health(backend), Health::unknown);
  }
}

TEST_F(Checks, close_in_order) {
  Endpoint backend = loopback(4);
  const Fd listener = listen_at(backend);
  checker.watch({{backend, {.rise = 1}}});
  ASSERT_TRUE(advance_until([&] { return checker.health(backend) == Health::up; }));
  const Fd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  char byte;
  EXPECT_EQ(recv(connection.get(), &byte, 1, 0), 0); // an end, not a reset
}

TEST_F(Checks, go_the_way_they_are_told) {
  Endpoint inside = loopback(4);
  const Fd listener = listen_at(inside);
  const Endpoint backend = {*parse_address("192.0.2.1"), inside.port};
  checker.watch({{backend, {.rise = 1}}},
                {.reached_at = {{backend, inside}}, .sources = {*parse_address("127.0.0.9")}});
  ASSERT_TRUE(advance_until([&] { return checker.health(backend) == Health::up; }));
  sockaddr_in from = {};
  socklen_t length = sizeof from;
  const Fd connection(
      accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC));
  EXPECT_EQ(ntohl(from.sin_addr.s_addr), 0x7f000009U);
  EXPECT_EQ(format_address(*checker.source(backend)), "127.0.0.9");
}

TEST_F(Checks, say_when_their_source_is_not_of_this_host) {
  Endpoint backend = loopback(4);
  const Fd listener = listen_at(backend);
  checker.watch({{backend, {}}}, {.reached_at = {}, .sources = {*parse_address("192.0.2.77")}});
  checker.advance(now_ns);
  EXPECT_EQ(checker.health(backend), Health::unknown);
  ASSERT_EQ(checker.problems().size(), 1U);
  EXPECT_NE(checker.problems().front().find("health_source 192.0.2.77"), std::string::npos);
  checker.watch({{backend, {.rise = 1}}});
  now_ns += 2000 * ms;
  ASSERT_TRUE(advance_until([&] { return checker.health(backend) == Health::up; }));
  EXPECT_TRUE(checker.problems().empty());
}

TEST_F(Checks, give_up_after_the_timeout) {
  Endpoint backend = loopback(4);
  const Fd listener = listen_at(backend, 0);
  const Fd only = connection_to(backend); // the queue is full: SYNs are dropped
  checker.watch({{backend, {.fall = 1}}});
  checker.advance(now_ns);
  now_ns += 999 * ms;
  checker.advance(now_ns);
  EXPECT_EQ(checker.last_error(backend), "");
  now_ns += ms;
  checker.advance(now_ns);
  EXPECT_EQ(checker.last_error(backend), "no answer within 1000 ms");
  EXPECT_EQ(checker.health(backend), Health::unknown);
}

TEST_F(Checks, are_spread_over_the_interval) {
  std::vector<Fd> listeners;
  std::map<Endpoint, HealthSettings> wanted;
  for (int i = 0; i < 10; i++) {
    Endpoint backend = loopback(4);
    listeners.push_back(listen_at(backend));
    wanted[backend] = {};
  }
  checker.watch(wanted);
  const auto arrivals = [&] {
    int sum = 0;
    for (const Fd& listener : listeners)
      sum += accepted(listener);
    return sum;
  };
  for (int i = 0; i < 30; i++) { // three rounds of 2 s in steps of 200 ms: one check each
    int sum = 0;
    EXPECT_TRUE(advance_until([&] { return (sum += arrivals()) == 1; })) << i;
    checker.advance(now_ns); // reaps the check, starts none
    EXPECT_EQ(arrivals(), 0) << i;
    now_ns += 200 * ms;
  }
  for (const auto& [backend, settings] : wanted)
    EXPECT_EQ(checker.health(backend), Health::up);
}

TEST_F(Checks, under_way_are_bounded) {
  Endpoint everywhere = {*parse_address("0.0.0.0"), 0};
  const Fd listener = listen_at(everywhere, 0);
  const Fd only = connection_to(
      {*parse_address("127.0.0.1"), everywhere.port}); // the queue is full: SYNs are dropped
  std::map<Endpoint, HealthSettings> wanted;
  for (std::uint32_t i = 1; i <= 600; i++)
    wanted[{trap_address_v4(TRAP_BE32(0x7f010000 + i)), everywhere.port}] = {.interval_ms = 100,
                                                                             .timeout_ms = 1000};
  const auto tried = [&] {
    return std::count_if(wanted.begin(), wanted.end(), [&](const auto& entry) {
      return !checker.last_error(entry.first).empty();
    });
  };
  const std::ptrdiff_t before = open_descriptors();
  checker.watch(wanted);
  checker.advance(now_ns);
  now_ns += 100 * ms; // all 600 are due
  checker.advance(now_ns);
  EXPECT_EQ(open_descriptors() - before, 256);
  for (const std::ptrdiff_t failed : {256, 512, 600}) { // nobody is passed over
    now_ns += 1000 * ms;
    checker.advance(now_ns);
    EXPECT_EQ(tried(), failed);
  }
}

} // namespace
} // namespace trap::test
