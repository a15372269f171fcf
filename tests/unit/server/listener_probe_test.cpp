// SPDX-License-Identifier: Apache-2.0
// Probes of real listeners on the loopback of a namespace: what they say, and that nobody behind
// them notices. Time is the test's own.
#include <chrono>
#include <fstream>
#include <functional>
#include <thread>

#include <fmt/core.h>

#include "runtime/nanoseconds.h"
#include "server/daemon/serving/listener_probe.h"
#include "tests/unit/server/own_network.h"

namespace trap::test {
namespace {

using server::ListenerAnswer;
using server::ListenerProbe;

class Probing : public OwnNetwork {
protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    if (IsSkipped())
      return;
    set("tcp_syncookies", 2);
    set("tcp_timestamps", 2);
    auto made = ListenerProbe::make();
    ASSERT_TRUE(made) << made.error().message;
    probe = std::move(*made);
  }

  // Sends what is due and waits, at one moment of the test's clock, for the answer.
  bool advance_until(const std::function<bool()>& done) {
    for (int i = 0; i < 2000; i++) {
      probe->advance(now_ns);
      if (done())
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  bool advance_until_answered(const Endpoint& listener) {
    return advance_until([&] { return probe->answer(listener).has_value(); });
  }

  std::unique_ptr<ListenerProbe> probe;
  std::uint64_t now_ns = 1000 * ns_per_s;
};

// Connections of a port in state SYN_RECV or later, as the kernel lists them.
int connections_of(std::uint16_t port, int family) {
  std::ifstream file(family == 4 ? "/proc/self/net/tcp" : "/proc/self/net/tcp6");
  const std::string wanted = fmt::format(":{:04X} ", port);
  int count = 0;
  for (std::string line; std::getline(file, line);)
    count += line.find(wanted) != std::string::npos && line.find(" 0A ") == std::string::npos;
  return count;
}

TEST_F(Probing, a_listener_sends_cookies_and_notices_nothing) {
  for (const int family : {4, 6}) {
    Endpoint at = loopback(family);
    const Fd listener = listen_at(at);
    probe->watch({at});
    EXPECT_FALSE(probe->answer(at));
    const long cookies = tcp_ext("SyncookiesSent");
    ASSERT_TRUE(advance_until_answered(at)) << family;
    const ListenerAnswer answer = *probe->answer(at);
    EXPECT_TRUE(answer.answers) << probe->problem(at);
    EXPECT_EQ(probe->problem(at), "");
    EXPECT_GT(answer.mss, 1400);
    EXPECT_GT(answer.window, 0);
    EXPECT_GE(answer.window_scale, 0);
    EXPECT_TRUE(answer.sack);
    EXPECT_TRUE(answer.timestamps);
    EXPECT_EQ(tcp_ext("SyncookiesSent") - cookies, 1);

    probe->advance(now_ns + ns_per_s - 1);
    EXPECT_EQ(tcp_ext("SyncookiesSent") - cookies, 1); // not due
    now_ns += ns_per_s;
    EXPECT_TRUE(advance_until([&] { return tcp_ext("SyncookiesSent") - cookies == 2; }));
    EXPECT_EQ(probe->answer(at), answer);
    EXPECT_EQ(accepted(listener), 0);
    EXPECT_EQ(connections_of(at.port, family), 0);
    EXPECT_EQ(tcp_ext("SyncookiesFailed"), 0);
    now_ns += ns_per_s;
  }
}

TEST_F(Probing, without_cookies_the_stack_resets_the_half_open) {
  set("tcp_syncookies", 0);
  for (const int family : {4, 6}) {
    Endpoint at = loopback(family);
    const Fd listener = listen_at(at);
    probe->watch({at});
    ASSERT_TRUE(advance_until_answered(at));
    EXPECT_TRUE(probe->answer(at)->answers);
    EXPECT_TRUE(advance_until([&] { return connections_of(at.port, family) == 0; }));
    EXPECT_EQ(accepted(listener), 0);
  }
}

TEST_F(Probing, the_answer_follows_the_stack) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at);
  set("tcp_timestamps", 0);
  probe->watch({at});
  ASSERT_TRUE(advance_until_answered(at));
  EXPECT_FALSE(probe->answer(at)->timestamps); // and without them a cookie has no room for the rest
  EXPECT_FALSE(probe->answer(at)->sack);
  EXPECT_EQ(probe->answer(at)->window_scale, -1);
  set("tcp_timestamps", 1);
  set("tcp_sack", 0);
  now_ns += ns_per_s;
  EXPECT_TRUE(advance_until([&] { return probe->answer(at)->timestamps; }));
  EXPECT_FALSE(probe->answer(at)->sack);
  EXPECT_GE(probe->answer(at)->window_scale, 0);
}

TEST_F(Probing, nobody_listens) {
  for (const int family : {4, 6}) {
    Endpoint at = loopback(family);
    Fd listener = listen_at(at);
    probe->watch({at});
    ASSERT_TRUE(advance_until_answered(at));
    EXPECT_TRUE(probe->answer(at)->answers);
    listener.reset();
    now_ns += ns_per_s;
    EXPECT_TRUE(advance_until([&] { return !probe->answer(at)->answers; }));
    EXPECT_EQ(probe->problem(at), "nobody listens");
    listener = listen_at(at);
    now_ns += ns_per_s;
    EXPECT_TRUE(advance_until([&] { return probe->answer(at)->answers; }));
    EXPECT_EQ(probe->problem(at), "");
    now_ns += ns_per_s;
  }
}

TEST_F(Probing, the_address_is_not_here) {
  for (const char* text : {"192.0.2.10", "2001:db8::10"}) {
    const Endpoint at = {*parse_address(text), 80};
    probe->watch({at});
    ASSERT_TRUE(advance_until_answered(at));
    EXPECT_FALSE(probe->answer(at)->answers);
    EXPECT_EQ(probe->problem(at), "the address is not on this host");
    ASSERT_TRUE(probe->answer(at));
    EXPECT_TRUE(probe->answer(at)->elsewhere);
  }
}

TEST_F(Probing, three_silences_are_a_problem) {
  Endpoint at = loopback(4);
  const Fd listener = listen_at(at, 0);
  probe->watch({at});
  ASSERT_TRUE(advance_until_answered(at));
  const Fd only = connection_to(at); // the queue is full: SYNs are dropped
  for (int i = 0; i < 3; i++) {
    now_ns += ns_per_s;
    probe->advance(now_ns);
    EXPECT_TRUE(probe->answer(at)->answers) << i;
  }
  now_ns += ns_per_s;
  probe->advance(now_ns);
  EXPECT_FALSE(probe->answer(at)->answers);
  EXPECT_NE(probe->problem(at).find("no answer to 3 SYNs"), std::string::npos);
  EXPECT_EQ(accepted(listener), 1);
  now_ns += ns_per_s;
  EXPECT_TRUE(advance_until([&] { return probe->answer(at)->answers; }));
}

TEST_F(Probing, many_listeners_at_once) {
  std::vector<Fd> listeners;
  std::vector<Endpoint> at;
  for (int i = 0; i < 100; i++) {
    at.push_back(loopback(i % 2 ? 4 : 6));
    listeners.push_back(listen_at(at.back()));
  }
  probe->watch(at);
  for (const Endpoint& endpoint : at) {
    ASSERT_TRUE(advance_until_answered(endpoint));
    EXPECT_TRUE(probe->answer(endpoint)->answers);
  }
  at.resize(50);
  probe->watch(at);
  EXPECT_TRUE(probe->answer(at.back()).has_value());
  at.clear();
  probe->watch(at);
  probe->advance(now_ns);
}

} // namespace
} // namespace trap::test
