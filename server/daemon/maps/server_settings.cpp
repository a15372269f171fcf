// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/maps/server_settings.h"

#include "runtime/config/token_rate.h"
#include "runtime/keys/clock_writer.h"

namespace trap::server {
namespace {

void publish_budgets(trap_server_settings& settings, const BudgetConfig& budget) {
  publish_rate(settings.client_handshakes, budget_rate(budget.client_handshakes_per_s));
  publish_rate(settings.network_handshakes, budget_rate(budget.network_handshakes_per_s));
  publish_rate(settings.syn_acks, cap_rate(budget.syn_acks_per_s));
  publish_rate(settings.resets, cap_rate(budget.resets_per_s));
}

} // namespace

void publish_settings(trap_server_settings& settings, const ActiveConfiguration& active,
                      const trap_clock_anchor& now) {
  const auto cookie_key = [&](std::uint64_t epoch) {
    return derive_cookie_key(active.master, epoch);
  };
  // A random master key does not make the cookies foreign that an earlier random one gave out.
  if (!active.master_is_random)
    forget_foreign_keys(settings.cookie_keys, cookie_key);
  rotate_keyring(settings.cookie_keys, trap_epoch(now.unix_ns), cookie_key);
  settings.selector_key = derive_selector_key(active.master);
  publish_budgets(settings, active.config.budget);
  publish_clock(settings.clock, now);
}

} // namespace trap::server
