// SPDX-License-Identifier: Apache-2.0
// Map `settings` is this process's memory, so its writers are watched store by store: clock, keys
// and rates are the old or the new ones after each.
#include <gmock/gmock.h>

#include "guard/daemon/maps/guard_maps.h"
#include "runtime/config/token_rate.h"
#include "runtime/keys/clock_writer.h"
#include "server/daemon/maps/server_settings.h"
#include "tests/unit/maps/store_watch.h"

namespace trap::test {
namespace {

constexpr std::uint64_t unix_ns = 1'800'000'001'000'000'000;
constexpr std::uint64_t ns_per_s = 1'000'000'000;

Secret secret_of(std::uint8_t byte) {
  Secret secret;
  secret.bytes.fill(byte);
  return secret;
}

trap_clock_anchor anchor_at(std::uint64_t monotonic_s, std::uint64_t ahead_s = 0) {
  const std::uint64_t now_ns = unix_ns + (monotonic_s + ahead_s) * ns_per_s;
  return {.monotonic_ns = monotonic_s * ns_per_s, .unix_ns = now_ns, .unix_s = now_ns / ns_per_s};
}

bool same_time(const trap_time& a, const trap_time& b) {
  return a.unix_ns == b.unix_ns && a.unix_s == b.unix_s;
}

class SettingsOrder : public testing::Test {
protected:
  void SetUp() override {
    if (!can_watch_stores())
      GTEST_SKIP() << "stores are watched on x86-64 only";
  }

  // Nothing is reported while a store is looked at: that would be within a signal handler.
  void expect_nothing_wrong() const {
    EXPECT_EQ(wrong_, 0) << "the first time after store " << first_wrong_;
  }
  void expect(bool right) {
    looks_++;
    if (!right && wrong_++ == 0)
      first_wrong_ = looks_;
  }

  std::size_t looks_ = 0;
  std::size_t first_wrong_ = 0;
  int wrong_ = 0;
};

TEST_F(SettingsOrder, the_clock_goes_from_one_anchor_to_the_next) {
  Watched<trap_clock> clock;
  publish_clock(*clock, anchor_at(5));
  for (std::uint64_t second = 6; second < 10; second++) {
    const trap_clock old = *clock;
    trap_clock next = old;
    publish_clock(next, anchor_at(second, second)); // a clock that is being put forward
    const std::uint64_t now_ns = second * ns_per_s + 1234;
    const auto before = trap_time_at(&old, now_ns), after = trap_time_at(&next, now_ns);
    ASSERT_FALSE(same_time(before, after));
    const std::size_t stores = clock.run([&] { publish_clock(*clock, anchor_at(second, second)); },
                                         [&] {
                                           const auto met = trap_time_at(&*clock, now_ns);
                                           expect(same_time(met, before) || same_time(met, after));
                                         });
    EXPECT_GE(stores, 2U);
    EXPECT_TRUE(same_time(trap_time_at(&*clock, now_ns), after));
  }
  expect_nothing_wrong();
}

// With the same secret a key in use is always there; with another one it may be missing for a
// moment, and is never another's or half of one.
TEST_F(SettingsOrder, keys_are_the_old_or_the_new) {
  Watched<trap_keyring> ring;
  const Secret secrets[] = {secret_of(1), secret_of(2)};
  std::uint64_t epoch = trap_epoch(unix_ns);
  int secret = 0;
  const auto derive_by = [&](int which) {
    return [&secrets, which](std::uint64_t at) { return derive_cookie_key(secrets[which], at); };
  };
  rotate_keyring(*ring, epoch, derive_by(0));
  for (int step = 0; step < 12; step++) {
    const int before = secret;
    const bool changes = step % 4 == 3;
    secret = changes ? 1 - secret : secret;
    epoch += changes ? 0 : 1;
    std::vector<trap_key> olds, news;
    for (std::uint64_t at = epoch - 1; at < epoch - 1 + TRAP_KEYRING_SLOTS; at++) {
      olds.push_back(derive_by(before)(at));
      news.push_back(derive_by(secret)(at));
    }
    const std::size_t stores = ring.run(
        [&] {
          if (changes)
            forget_foreign_keys(*ring, derive_by(secret));
          rotate_keyring(*ring, epoch, derive_by(secret));
        },
        [&] {
          for (std::size_t i = 0; i < olds.size(); i++) {
            trap_key met;
            const bool found = trap_keyring_find(&*ring, epoch - 1 + i, &met);
            const bool is_needed = !changes && i < 2; // the previous epoch's and the present one's
            expect(found ? trap_key_equal(&met, &olds[i]) || trap_key_equal(&met, &news[i])
                         : !is_needed);
          }
        });
    EXPECT_GE(stores, 2U);
    trap_key met;
    ASSERT_TRUE(trap_keyring_find(&*ring, epoch, &met));
    EXPECT_TRUE(trap_key_equal(&met, &news[1]));
  }
  expect_nothing_wrong();
}

bool same_rate(const trap_rate& a, const trap_rate& b) {
  return a.token_ns == b.token_ns && a.burst_ns == b.burst_ns && a.chunk == b.chunk;
}

TEST_F(SettingsOrder, a_rate_is_the_old_the_new_or_no_limit) {
  Watched<trap_rate> rate;
  const trap_rate rates[] = {budget_rate(0), budget_rate(100), budget_rate(1), cap_rate(5000000),
                             budget_rate(0)};
  for (const trap_rate& next : rates) {
    const trap_rate before = *rate;
    rate.run(
        [&] { publish_rate(*rate, next); },
        [&] { expect(rate->token_ns == 0 || same_rate(*rate, before) || same_rate(*rate, next)); });
    EXPECT_TRUE(same_rate(*rate, next));
  }
  expect_nothing_wrong();
}

TEST_F(SettingsOrder, the_servers_go_through_the_same_doors) {
  Watched<trap_server_settings> settings;
  server::ActiveConfiguration old_one, next;
  old_one.master = secret_of(1);
  next.master = secret_of(1);
  next.config.budget.client_handshakes_per_s = 7;
  next.config.budget.resets_per_s = 0;
  publish_settings(*settings, old_one, anchor_at(1));
  const trap_server_settings before = *settings;
  trap_server_settings after = before;
  publish_settings(after, next, anchor_at(2));
  const std::uint64_t epoch = trap_epoch(unix_ns);
  const trap_key key = derive_cookie_key(next.master, epoch);
  settings.run([&] { publish_settings(*settings, next, anchor_at(2)); },
               [&] {
                 trap_key met;
                 expect(trap_keyring_find(&settings->cookie_keys, epoch, &met) &&
                        trap_key_equal(&met, &key));
                 expect(settings->resets.token_ns == 0 ||
                        same_rate(settings->resets, before.resets));
                 expect(settings->client_handshakes.token_ns == 0 ||
                        same_rate(settings->client_handshakes, before.client_handshakes) ||
                        same_rate(settings->client_handshakes, after.client_handshakes));
                 const auto time = trap_time_at(&settings->clock, 3 * ns_per_s);
                 expect(same_time(time, trap_time_at(&before.clock, 3 * ns_per_s)) ||
                        same_time(time, trap_time_at(&after.clock, 3 * ns_per_s)));
                 expect(trap_key_equal(&settings->selector_key, &after.selector_key));
               });
  expect_nothing_wrong();
}

TEST_F(SettingsOrder, the_guards_keys_last_until_it_says) {
  Watched<trap_guard_settings> settings;
  const Secret secret = secret_of(1);
  guard::renew_settings(*settings, secret, anchor_at(1));
  for (std::uint64_t epochs = 1; epochs < 9; epochs++) {
    const trap_clock_anchor now = anchor_at(epochs << (TRAP_EPOCH_SHIFT - 30));
    const std::uint64_t epoch = trap_epoch(now.unix_ns);
    settings.run([&] { guard::renew_settings(*settings, secret, now); },
                 [&] {
                   trap_key met;
                   const bool promised = settings->keys_until_ns > now.monotonic_ns;
                   expect(!promised || (trap_keyring_find(&settings->ticket_keys, epoch, &met) &&
                                        trap_keyring_find(&settings->announce_keys, epoch, &met)));
                 });
    EXPECT_GT(settings->keys_until_ns, now.monotonic_ns);
  }
  expect_nothing_wrong();
}

} // namespace
} // namespace trap::test
