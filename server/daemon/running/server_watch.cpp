// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/running/server_watch.h"

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/nanoseconds.h"
#include "server/daemon/running/server_reload.h"

namespace trap::server {
void ServerWatch::renew_keys(std::uint64_t epoch) {
  rotate_keyring(server_.settings->cookie_keys, epoch, [this](std::uint64_t wanted) {
    return derive_cookie_key(server_.active->master, wanted);
  });
  server_.announcer->rotate_keys(epoch);
  if (auto rotated =
          server_.maps->rotate_guard_keys(server_.active->plan, server_.active->master, epoch);
      !rotated) {
    log::error("cannot renew the ticket keys, trying again in a second: {}",
               rotated.error().message);
    return;
  }
  server_.epoch = epoch;
}

void ServerWatch::tick_second() {
  const trap_clock_anchor now = read_clocks();
  publish_clock(server_.settings->clock, now);
  if (trap_epoch(now.unix_ns) != server_.epoch)
    renew_keys(trap_epoch(now.unix_ns));
  follow_interfaces(server_);
  mend_pins(server_);
  ServerReload(server_).follow_addresses();
  look_around(server_);
  follow_handovers(server_);
  follow_return_ways(server_);
  check_tickets(server_);
  refresh_maps(server_);
}

void ServerWatch::tick() {
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  const bool state_changed =
      server_.runtime_state.advance(server_.active->plan, server_.maps->fds().counters, now_ns);
  const bool changed = run_self_tests(server_) || state_changed;
  server_.known->advance(now_ns);
  const BackendAvailability& backends = server_.runtime_state.backends();
  const bool heard_again = server_.hearing.advance(
      now_ns,
      [&](const trap_address& source, const Endpoint& backend, std::uint8_t scope) {
        return !backends.depends_on_announcing(backend, source, scope);
      },
      [&](const trap_address& source, std::uint32_t backend) {
        return server_.announcer->announce_itself(source, backend, HearingChecks::lifetime_s);
      });
  if (heard_again)
    server_.announcer->forget_told();
  // Ticks come a little early or late: a second is five of them, not four or six.
  if (now_ns >= second_ns_ + ns_per_s - watch_tick_ms * ns_per_s / 2000) {
    second_ns_ = now_ns;
    tick_second();
  } else if (changed) {
    refresh_maps(server_);
  }
}

} // namespace trap::server
