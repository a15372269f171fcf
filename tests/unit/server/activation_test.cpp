// SPDX-License-Identifier: Apache-2.0
// TRAP takes over from the stack under attack and gives back afterwards: simulated services, whose
// clients take a round trip to complete.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>

#include "runtime/verdict_text.h"
#include "server/daemon/watch/activation.h"

namespace trap::test {
namespace {

using server::Activation;
using server::ActivationSample;
using server::ActivationSettings;

constexpr std::uint64_t tick_ns = 200'000'000;

// Counters of a service whose daemon looks at them every 200 ms.
class Service {
public:
  explicit Service(double round_trip_s = 0.05, ActivationSettings settings = {})
      : activation(settings), round_trip_s_(round_trip_s) {}

  // Lets traffic flow; true if TRAP was ever active meanwhile.
  bool flow(double seconds, double honest_per_s, double flood_per_s = 0,
            double completed_share = 1) {
    bool ever = activation.active();
    for (int ticks = static_cast<int>(std::lround(seconds * 5)); ticks > 0; ticks--) {
      // in steps of 10 ms, so that a round trip need be no multiple of a tick
      for (int step = 0; step < 20; step++)
        step_10_ms(honest_per_s, flood_per_s, completed_share);
      now_ns += tick_ns;
      activation.observe(
          now_ns, {static_cast<std::uint64_t>(syns_), static_cast<std::uint64_t>(completions_)});
      ever = ever || activation.active();
    }
    return ever;
  }

  // The same, until TRAP's state is `active`; how many seconds it took, or more than `limit_s`.
  double until(bool active, double limit_s, double honest_per_s, double flood_per_s) {
    double seconds = 0;
    for (; seconds <= limit_s && activation.active() != active; seconds += 0.2)
      flow(0.2, honest_per_s, flood_per_s);
    return seconds;
  }

  void restart_counters() {
    syns_ = 0;
    completions_ = 0;
  }

  Activation activation;
  std::uint64_t now_ns = 1'000'000'000'000;

private:
  void step_10_ms(double honest_per_s, double flood_per_s, double completed_share) {
    syns_ += (honest_per_s + flood_per_s) / 100;
    under_way_.push_back(honest_per_s / 100 * completed_share);
    if (static_cast<double>(under_way_.size()) > round_trip_s_ * 100) {
      completions_ += under_way_.front();
      under_way_.pop_front();
    }
  }

  double round_trip_s_;
  double syns_ = 0;
  double completions_ = 0;
  std::deque<double> under_way_; // honest handshakes, by 10 ms
};

TEST(Activation, leaves_busy_honest_sites_alone) {
  for (const double round_trip_s : {0.0, 0.01, 0.1, 0.3, 0.4}) {
    Service service(round_trip_s);
    EXPECT_FALSE(service.flow(10, 5000)) << round_trip_s;
    EXPECT_FALSE(service.flow(10, 15000)) << round_trip_s;
    EXPECT_NEAR(service.activation.syns_per_s(), 15000, 100);
    EXPECT_NEAR(service.activation.incomplete_percent(), 0, 1) << round_trip_s;
  }
}

TEST(Activation, leaves_rushes_alone_when_they_begin_and_when_they_end) {
  for (const double round_trip_s : {0.0, 0.1, 0.2, 0.3, 0.4}) {
    for (const double length_s : {0.2, 0.4, 0.6, 1.0, 2.0}) {
      Service service(round_trip_s);
      EXPECT_FALSE(service.flow(2, 10)) << round_trip_s << " " << length_s;
      EXPECT_FALSE(service.flow(length_s, 15000)) << round_trip_s << " " << length_s;
      EXPECT_FALSE(service.flow(3, 10)) << round_trip_s << " " << length_s;
    }
  }
}

TEST(Activation, leaves_lossy_clients_alone) {
  Service service;
  EXPECT_FALSE(service.flow(30, 8000, 0, 0.3)); // two of three SYNs or their answers are lost
}

TEST(Activation, sees_a_flood_within_a_second) {
  for (const double flood_per_s : {5000.0, 25000.0, 1e6, 50e6}) {
    Service idle;
    idle.flow(5, 0);
    EXPECT_LE(idle.until(true, 5, 0, flood_per_s), 1.01) << flood_per_s;
    Service busy;
    EXPECT_FALSE(busy.flow(5, 1000));
    EXPECT_LE(busy.until(true, 5, 1000, flood_per_s + 5000), flood_per_s > 20000 ? 1.01 : 2.01)
        << flood_per_s;
    EXPECT_NE(busy.activation.reason().find("SYNs/s"), std::string::npos);
  }
}

TEST(Activation, does_not_mind_what_the_stack_bears) {
  Service service;
  EXPECT_FALSE(service.flow(30, 50, 900)); // a scanner: below the floor
}

TEST(Activation, gives_back_after_half_a_minute_of_calm) {
  Service service;
  service.flow(5, 500);
  service.flow(10, 500, 100'000);
  ASSERT_TRUE(service.activation.active());
  EXPECT_TRUE(service.flow(25, 500));
  EXPECT_TRUE(service.activation.active());
  EXPECT_LE(service.until(false, 60, 500, 0), 10.0);
  EXPECT_FALSE(service.flow(30, 500));
}

TEST(Activation, stays_while_the_flood_comes_in_waves) {
  Service service;
  for (int wave = 0; wave < 5; wave++) {
    service.flow(5, 500, 100'000);
    EXPECT_TRUE(service.activation.active());
    service.flow(20, 500);
    EXPECT_TRUE(service.activation.active()) << wave;
  }
}

TEST(Activation, stays_while_the_flood_is_between_half_and_the_thresholds) {
  Service service;
  service.flow(5, 0, 5000);
  ASSERT_TRUE(service.activation.active());
  service.flow(120, 400, 600); // 60% incomplete, 1000/s
  EXPECT_TRUE(service.activation.active());
  Service calm; // while the same on its own is no attack
  EXPECT_FALSE(calm.flow(120, 400, 600));
}

TEST(Activation, honest_load_does_not_hold_it) {
  Service service;
  service.flow(5, 8000, 100'000);
  ASSERT_TRUE(service.activation.active());
  EXPECT_LE(service.until(false, 60, 8000, 0), 33.0);
}

TEST(Activation, begins_anew_when_counters_do) {
  Service service;
  service.flow(5, 3000);
  service.restart_counters();
  EXPECT_FALSE(service.flow(5, 3000));
  service.restart_counters();
  service.flow(2, 0, 50'000);
  EXPECT_TRUE(service.activation.active());
  service.restart_counters();
  service.flow(2, 0, 50'000);
  EXPECT_TRUE(service.activation.active());
}

TEST(Activation, keeps_what_an_earlier_run_decided) {
  Activation activation(ActivationSettings{}, true);
  EXPECT_TRUE(activation.active());
  EXPECT_FALSE(activation.observe(1'000'000'000, {0, 0}));
  EXPECT_FALSE(activation.observe(30'000'000'000, {0, 0}));
  EXPECT_TRUE(activation.observe(31'000'000'001, {0, 0}));
  EXPECT_FALSE(activation.active());
}

TEST(Activation, first_totals_are_no_rate) {
  Activation activation(ActivationSettings{});
  EXPECT_FALSE(activation.observe(1'000'000'000, {1'000'000'000, 0}));
  EXPECT_EQ(activation.syns_per_s(), 0);
  EXPECT_FALSE(activation.observe(1'200'000'000, {1'000'000'500, 0}));
  EXPECT_FALSE(activation.active());
}

TEST(Activation, takes_other_thresholds_while_it_runs) {
  Service service;
  EXPECT_FALSE(service.flow(5, 8000));
  service.activation.configure({.syns_per_s = 5000, .hold_s = 2});
  EXPECT_TRUE(service.flow(1, 8000));
  EXPECT_LE(service.until(false, 60, 100, 0), 4.0);
}

TEST(ActivationSample, counts_who_arrives_and_who_completes) {
  VerdictCounts counts = {};
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++)
    counts[static_cast<std::size_t>(verdict)].packets = std::uint64_t{1} << verdict % 60;
  counts[TRAP_PASS_TRUSTED] = {};
  const ActivationSample sample = server::activation_sample(counts);
  const auto has = [](std::uint64_t sum, trap_verdict verdict) {
    return (sum >> verdict % 60 & 1) != 0;
  };
  for (const trap_verdict verdict :
       {TRAP_REPLY_SYN_ACK, TRAP_PASS_SYN_AT_PEACE, TRAP_DROP_SYN_ACK_CAP, TRAP_DROP_SERVICE_CAP})
    EXPECT_TRUE(has(sample.syns, verdict) && !has(sample.completions, verdict))
        << verdict_name(verdict);
  for (const trap_verdict verdict :
       {TRAP_PASS_HANDSHAKE, TRAP_PASS_COOKIE, TRAP_REPLY_REDIRECT, TRAP_DROP_CLIENT_BUDGET})
    EXPECT_TRUE(has(sample.completions, verdict) && !has(sample.syns, verdict))
        << verdict_name(verdict);
  for (const trap_verdict verdict :
       {TRAP_PASS_SOCKET, TRAP_DROP_BAD_COOKIE, TRAP_PASS_AT_PEACE, TRAP_DROP_RST})
    EXPECT_FALSE(has(sample.completions, verdict) || has(sample.syns, verdict))
        << verdict_name(verdict);
}

// Of the verdicts alone, ACKs with a wrong number would pass for completed handshakes.
TEST(LivingHandshakes, are_as_many_as_connections_came_of_them) {
  server::LivingHandshakes living;
  EXPECT_EQ(living.count(5000, 700), 0u) << "totals of earlier days";
  EXPECT_EQ(living.count(5010, 710), 10u);
  EXPECT_EQ(living.count(9010, 712), 12u) << "4000 ACKs, two connections";
  EXPECT_EQ(living.count(13010, 712), 12u);
  EXPECT_EQ(living.count(13020, 722), 22u);
}

TEST(LivingHandshakes, may_be_counted_a_little_before_or_after_their_connections) {
  server::LivingHandshakes living;
  living.count(0, 0);
  EXPECT_EQ(living.count(10, 7), 7u);
  EXPECT_EQ(living.count(10, 10), 10u) << "three came later";
  EXPECT_EQ(living.count(10, 14), 10u);
  EXPECT_EQ(living.count(14, 14), 14u) << "four were there before";
  EXPECT_EQ(living.count(14, 500), 14u) << "connections of other services";
  living.count(14, 500);
  EXPECT_EQ(living.count(400, 500), 14u) << "are no credit for later";
}

// As seen: one half-open socket, and 4000 ACKs a second that it ignores beside 5000 SYNs.
TEST(Activation, is_not_put_off_by_acks_that_one_half_open_socket_ignores) {
  server::Activation activation({});
  server::LivingHandshakes living;
  std::uint64_t ns = 1'000'000'000, first_ns = 0;
  for (std::uint64_t tick = 0; tick < 20 && first_ns == 0; tick++, ns += 200'000'000)
    if (activation.observe(
            ns,
            {.syns = tick * 1000, .completions = living.count(tick * 800, 0), .met = tick * 800}))
      first_ns = ns - 1'000'000'000;
  EXPECT_NE(first_ns, 0u);
  EXPECT_LE(first_ns, 2'000'000'000u);
}

} // namespace
} // namespace trap::test
