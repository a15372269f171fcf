// SPDX-License-Identifier: Apache-2.0
// Completed handshakes that never become connections, and the way back.
#include <string>

#include <gmock/gmock.h>

#include "runtime/config/endpoint.h"
#include "runtime/nanoseconds.h"
#include "server/daemon/serving/shortfall.h"
#include "server/daemon/watch/sampled_networks.h"

namespace trap::test {
namespace {

using server::Answerer;
using server::ClientTests;
using server::HandoverCounts;
using server::SampleCounts;
using server::Shortfall;
using testing::HasSubstr;

constexpr std::uint64_t minute_s = 60;

class Shortfalls : public testing::Test {
protected:
  Shortfalls() { pass(1); }

  // Lets time pass with what moved in it.
  void pass(std::uint64_t seconds, const HandoverCounts& moved = {}) {
    counts_.handed += moved.handed;
    counts_.tried += moved.tried;
    counts_.failed += moved.failed;
    add(counts_.samples.own, moved.samples.own);
    add(counts_.samples.kernel, moved.samples.kernel);
    counts_.samples.own.networks = moved.samples.own.networks;
    counts_.samples.kernel.networks = moved.samples.kernel.networks;
    counts_.left += moved.left;
    counts_.completed += moved.completed;
    for (; seconds > 0; seconds--) {
      now_s_++;
      const bool at_stack = !kernel_can && shortfall.at_best() == Answerer::kernel_cookies;
      shortfall.observe(now_s_ * ns_per_s, counts_,
                        at_stack ? Answerer::stack : shortfall.at_best());
      if (shortfall.wants_client_tests())
        shortfall.note_client_tests(now_s_ * ns_per_s, clients);
    }
  }
  // A sample of own cookies.
  static HandoverCounts sample(std::uint64_t arrived, std::uint64_t lost) {
    return {.samples = {.own = {arrived, lost}}};
  }
  void retry() { shortfall.retry(counts_); }
  void expect(Answerer answerer, const char* reason) const {
    EXPECT_EQ(shortfall.at_best(), answerer);
    if (*reason)
      EXPECT_THAT(shortfall.reason(), HasSubstr(reason));
    else
      EXPECT_EQ(shortfall.reason(), "");
  }

  Shortfall shortfall;
  bool kernel_can = true;
  ClientTests clients = {}; // what tests in the name of clients that lost handshakes say

private:
  static void add(SampleCounts& sum, const SampleCounts& more) {
    sum.arrived += more.arrived;
    sum.lost += more.lost;
  }

  HandoverCounts counts_ = {100, 90, 20, {{80, 70, {}}, {60, 50, {}}}, 40, 30}; // of before
  std::uint64_t now_s_ = 1000;
};

TEST_F(Shortfalls, are_told_where_a_driver_takes_no_metadata) {
  pass(1, {.handed = 100, .tried = 100, .failed = 20});
  expect(Answerer::own_cookies, "");
  pass(1, {.failed = 7});
  expect(Answerer::own_cookies, "");
  pass(1, {.failed = 1});
  expect(Answerer::kernel_cookies, "of 8 handshakes, XDP could hand over 0");
  retry();
  expect(Answerer::own_cookies, "");
  pass(1, {.failed = 2});
  expect(Answerer::kernel_cookies, "of 2 handshakes");
}

TEST_F(Shortfalls, are_told_by_two_lost_tests_in_a_row) {
  using server::TestResult;
  const auto test = [&](TestResult result) { shortfall.note_test(2 * ns_per_s, result, "eth0"); };
  test(TestResult::lost_behind_tc);
  test(TestResult::passed);
  test(TestResult::lost_behind_tc);
  test(TestResult::unknown);
  expect(Answerer::own_cookies, "");
  test(TestResult::lost_behind_tc);
  expect(Answerer::stack, "of 2 handshakes of its own by interface eth0, none became connections");
  test(TestResult::passed);
  expect(Answerer::stack, "became connections");
  retry();
  expect(Answerer::own_cookies, "");
  test(TestResult::lost_before_tc);
  test(TestResult::lost_before_tc);
  expect(Answerer::kernel_cookies, "reached TRAP's tc program");
  retry();
  test(TestResult::lost_socket);
  test(TestResult::lost_socket);
  expect(Answerer::kernel_cookies, "a nat chain, as Docker has");
}

TEST_F(Shortfalls, are_none_while_handshakes_arrive) {
  for (int i = 0; i < 100; i++)
    pass(1, {.handed = 20, .tried = 20, .samples = {.own = {15, 5}}});
  expect(Answerer::own_cookies, "");
}

TEST_F(Shortfalls, take_eight_handshakes_within_ten_minutes) {
  pass(1, {.handed = 7, .tried = 0, .samples = {.own = {0, 7}}});
  expect(Answerer::own_cookies, "");
  pass(11 * minute_s);
  pass(1, {.handed = 7, .tried = 0, .samples = {.own = {0, 7}}});
  expect(Answerer::own_cookies, "");
  pass(1, {.handed = 1, .tried = 0});
  expect(Answerer::kernel_cookies, "of 8 handshakes that XDP handed over, 0 reached");
}

TEST_F(Shortfalls, on_the_way_to_tc_are_tried_by_no_stack) {
  kernel_can = false;
  pass(1, {.handed = 8, .tried = 1});
  expect(Answerer::kernel_cookies, "of 8 handshakes that XDP handed over, 1 reached");
  pass(20, {.left = 100});
  expect(Answerer::kernel_cookies, "handed over"); // no trial: clients cannot have caused it
}

TEST_F(Shortfalls, in_the_stack_lead_to_the_stack) {
  pass(1, {.handed = 9, .tried = 9, .samples = {.own = {2, 7}}});
  expect(Answerer::stack, "of 9 handshakes that went up to the stack, 2 became connections");
  pass(20, {.left = 100, .completed = 1});
  expect(Answerer::stack, "became connections");
}

TEST_F(Shortfalls, go_on_with_the_kernels_cookies_to_the_stack) {
  pass(1, {.handed = 8, .tried = 0});
  pass(2, sample(0, 8));
  expect(Answerer::kernel_cookies, "handed over"); // lost before, and found now
  pass(1, {.handed = 8, .tried = 0});
  pass(1, {.samples = {.kernel = {1, 7}}});
  expect(Answerer::stack, "became connections");
}

// Right after a change of the answerer, too.
TEST_F(Shortfalls, count_from_the_first_handshake) {
  pass(1, {.handed = 8, .tried = 0});
  pass(1, {.samples = {.kernel = {0, 8}}});
  expect(Answerer::stack, "became connections");
  retry();
  pass(1, {.handed = 2, .tried = 0});
  expect(Answerer::kernel_cookies, "of 2 handshakes");
}

TEST_F(Shortfalls, of_banned_clients_are_none) {
  pass(1, sample(0, 8));
  expect(Answerer::stack, "became connections");
  pass(4, {.left = 8});
  expect(Answerer::stack, "became connections");
  pass(5, {.left = 8});
  expect(Answerer::own_cookies, "");
  pass(1);
  pass(1, sample(0, 8));
  expect(Answerer::own_cookies, "");
  pass(10 * minute_s);
  pass(1, sample(0, 8));
  expect(Answerer::stack, "became connections");
}

TEST_F(Shortfalls, of_clients_that_the_stack_does_not_answer_are_none) {
  const HandoverCounts banned = {.samples = {.own = {0, 8, {.all = 1, .arrived = 0}}}};
  for (const bool tested : {false, true}) {
    if (tested)
      shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
    clients = {.unanswered = 1};
    for (int i = 0; i < 1000; i++)
      pass(1, banned);
    expect(Answerer::own_cookies, "");
  }
  clients = {.lost = 1, .unanswered = 2}; // the stack answers one
  pass(minute_s);
  pass(1, banned);
  expect(Answerer::stack, "became connections");
}

TEST_F(Shortfalls, of_clients_whose_own_tests_arrive_last_a_while) {
  const HandoverCounts lost = {.samples = {.own = {0, 8, {.all = 1, .arrived = 0}}}};
  shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
  clients = {.passed = 1, .unanswered = 2};
  for (int i = 0; i < 15; i++) {
    pass(1, lost);
    expect(Answerer::own_cookies, "");
  }
  pass(1, lost);
  expect(Answerer::stack, "became connections");
}

TEST_F(Shortfalls, with_the_kernels_cookies_are_told_by_what_the_stack_answers) {
  pass(1, {.handed = 8, .tried = 0});
  clients = {.lost = 1, .unanswered = 1}; // TRAP's own cookies are lost there anyway
  pass(1, {.samples = {.kernel = {0, 8}}});
  expect(Answerer::kernel_cookies, "handed over");
  clients = {.lost = 1};
  pass(minute_s);
  pass(1, {.samples = {.kernel = {0, 8}}});
  expect(Answerer::stack, "became connections");
}

TEST_F(Shortfalls, of_some_networks_are_none) {
  const auto of = [&](std::uint64_t networks, std::uint64_t arrived) -> HandoverCounts {
    return {.samples = {.own = {1, 63, {.all = networks, .arrived = arrived}}}};
  };
  for (int i = 0; i < 100; i++)
    pass(1, of(4, 1));
  expect(Answerer::own_cookies, "");
  shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
  for (int i = 0; i < 100; i++)
    pass(1, of(500, 1)); // as many bans as there may be: the daemon's own handshake arrived
  expect(Answerer::own_cookies, "");
  shortfall.note_test(2 * ns_per_s, server::TestResult::unknown, "eth0");
  pass(1, of(500, 1));
  expect(Answerer::own_cookies, ""); // an unknown result takes nothing back
  shortfall.note_test(2 * ns_per_s, server::TestResult::lost_behind_tc, "eth0");
  pass(1, of(5, 1));
  expect(Answerer::stack, "became connections");
}

TEST_F(Shortfalls, of_every_network_are_some) {
  shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
  for (int i = 0; i < 15; i++) {
    pass(1, {.samples = {.own = {0, 8, {.all = 3, .arrived = 0}}}});
    expect(Answerer::own_cookies, ""); // others may arrive yet, as the daemon's own did
  }
  pass(1, {.samples = {.own = {0, 8, {.all = 3, .arrived = 0}}}});
  expect(Answerer::stack, "became connections"); // on trial
}

TEST_F(Shortfalls, have_the_test_repeated_that_says_otherwise) {
  pass(1, sample(1, 7));
  EXPECT_EQ(shortfall.doubted_ns(), 0U); // no test said anything
  retry();
  shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
  pass(1, {.samples = {.own = {8, 0, {.all = 2, .arrived = 2}}}});
  EXPECT_EQ(shortfall.doubted_ns(), 0U);
  pass(1, {.samples = {.own = {1, 7, {.all = 2, .arrived = 1}}}});
  const std::uint64_t first_ns = shortfall.doubted_ns();
  EXPECT_NE(first_ns, 0U);
  pass(1, {.samples = {.own = {1, 7, {.all = 2, .arrived = 1}}}});
  EXPECT_EQ(shortfall.doubted_ns(), first_ns); // it is repeated anyway
  shortfall.note_test(2 * ns_per_s, server::TestResult::lost_behind_tc, "eth0");
  pass(1, {.samples = {.own = {0, 8, {.all = 2, .arrived = 0}}}});
  expect(Answerer::stack, "became connections"); // and now agrees
}

TEST_F(Shortfalls, of_who_comes_first_wait_for_others) {
  shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
  for (int i = 0; i < 100; i++) {
    pass(14, {.samples = {.own = {0, 60, {.all = 1, .arrived = 0}}}});
    pass(1, {.samples = {.own = {1, 60, {.all = 2, .arrived = 1}}}});
  }
  expect(Answerer::own_cookies, "");
}

TEST_F(Shortfalls, of_kernel_cookies_are_told_by_no_test_of_own_ones) {
  shortfall.note_test(2 * ns_per_s, server::TestResult::passed, "eth0");
  pass(1, {.handed = 8, .tried = 0});
  expect(Answerer::kernel_cookies, "handed over");
  pass(1, {.samples = {.kernel = {1, 30, {.all = 5, .arrived = 1}}}});
  expect(Answerer::stack, "became connections");
}

TEST(SampledNetworks, count_each_network_once_however_many_handshakes_it_completes) {
  server::SampledNetworks networks;
  const auto note = [&](const char* client, bool arrived, std::uint64_t second) {
    networks.note({*parse_address(client), 2}, arrived, second * ns_per_s);
  };
  const auto expect = [&](std::uint64_t second, std::uint64_t all, std::uint64_t arrived) {
    const server::NetworkCounts counts = networks.count(second * ns_per_s);
    EXPECT_EQ(counts.all, all) << second;
    EXPECT_EQ(counts.arrived, arrived) << second;
  };
  for (int i = 0; i < 100; i++)
    for (const char* banned : {"192.0.2.7", "192.0.2.200", "2001:db8:1::7", "2001:db8:1:2::8"})
      note(banned, false, 1000);
  expect(1000, 2, 0);
  note("198.51.100.7", true, 1000);
  note("2001:db8:2::7", true, 1000);
  expect(1029, 4, 2);
  expect(1030, 2, 0); // the host may have changed since
  for (int i = 0; i < 7; i++)
    note("198.51.100.7", false, 1001);
  expect(1002, 4, 2);
  note("198.51.100.9", false, 1001); // the eighth behind the last that arrived
  expect(1002, 4, 1);
  note("198.51.100.7", true, 1003);
  expect(1003, 4, 2);
  expect(1601, 0, 0);
  note("203.0.113.7", false, 1700);
  for (unsigned i = 0; i < 5000; i++)
    note(("2001:db8:" + std::to_string(i % 9000 + 1000) + "::1").c_str(), false, 1700);
  expect(1700, 4096, 0); // no more memory than that
  note("192.0.2.7", true, 2400);
  expect(2400, 1, 1); // those of long ago make room
}

TEST(SampledNetworks, name_the_clients_that_lost_handshakes_last) {
  server::SampledNetworks networks;
  const auto note = [&](const char* client, bool arrived, std::uint64_t second) {
    networks.note({*parse_address(client), 7}, arrived, second * ns_per_s);
  };
  const auto names = [&](std::uint64_t second, std::size_t most) {
    std::vector<std::string> found;
    for (const server::SampledClient& client : networks.last_losers(second * ns_per_s, most)) {
      EXPECT_EQ(client.interface, 7U);
      found.push_back(format_address(client.address));
    }
    return found;
  };
  note("192.0.2.7", false, 1000);
  note("192.0.2.8", false, 1001);
  note("198.51.100.7", false, 1002);
  note("2001:db8::7", false, 1003);
  note("203.0.113.7", false, 1004);
  note("203.0.113.8", true, 1005); // the network gets through
  EXPECT_THAT(names(1005, 3), testing::ElementsAre("2001:db8::7", "198.51.100.7", "192.0.2.8"));
  EXPECT_THAT(names(1005, 1), testing::ElementsAre("2001:db8::7"));
  EXPECT_THAT(names(1062, 3), testing::ElementsAre("2001:db8::7"));
  EXPECT_TRUE(names(1063, 3).empty());
}

TEST_F(Shortfalls, are_tried_again_with_fewer_clients) {
  pass(1, sample(0, 8));
  pass(1);
  pass(1, {.completed = 1});
  pass(10 * minute_s);
  expect(Answerer::own_cookies, "");
  pass(1, sample(0, 1));
  expect(Answerer::own_cookies, "");
  pass(1, sample(0, 1));
  expect(Answerer::stack, "of 2 handshakes");
  retry();
  pass(1, sample(2, 0));
  pass(1, sample(0, 7));
  expect(Answerer::own_cookies, ""); // as careful as at first
}

} // namespace
} // namespace trap::test
