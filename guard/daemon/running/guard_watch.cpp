// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/running/guard_watch.h"

#include <cstdlib>

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/nanoseconds.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

constexpr std::uint64_t correct_every_ns = 10 * ns_per_s;
// A daemon that stalls for a few corrections costs no client anything.
constexpr std::uint64_t counts_hold_ns = 60 * ns_per_s;

} // namespace

void GuardWatch::tick() {
  const trap_clock_anchor now = read_clocks();
  renew_settings(*guard_.settings, guard_.active->key.secret, now);
  watch_mode(now.monotonic_ns);
  watch_keys(now.unix_ns);
  watch_clocks();
  if (now.monotonic_ns >= next_correction_ns_)
    correct_counts(now.monotonic_ns);
  guard_.attachments.mend();
  guard_.egress.mend(guard_.active->config.part.interfaces);
  mend_pins(guard_);
}

void GuardWatch::watch_mode(std::uint64_t monotonic_ns) {
  const Enforcement now = enforcement_of(*guard_.settings, monotonic_ns);
  if (guard_.enforcement.confirm_within_s && now.mode == Mode::monitor) {
    guard_.ran_out = true;
    log::warn(
        "mode: back to monitor, because enforcing was not confirmed in time: nothing is dropped");
  }
  guard_.enforcement = now;
}

void GuardWatch::watch_keys(std::uint64_t unix_ns) {
  const double left_s = key_seconds_left(guard_.settings->ticket_keys, unix_ns);
  const bool scarce = left_s < keys_scarce_s;
  if (scarce && !keys_scarce_)
    log::warn("keys for only {:.0f} more minutes: then {}", left_s / 60,
              guard_.active->config.stale_drops ? "nothing passes to the protected ports"
                                                : "only established connections go on");
  keys_scarce_ = scarce;
}

// Warns once, before tickets and announcements are refused because of it.
void GuardWatch::watch_clocks() {
  for (const trap_address& address : guard_.active->config.trap_servers) {
    const trap_guard_peer peer = read_peer(guard_.fds, address);
    const std::string name = format_address(address);
    const bool off = peer.heard_s != 0 && std::abs(static_cast<std::int64_t>(peer.skew_s)) * 2 >
                                              guard_.active->config.clock_skew_s;
    if (!off)
      off_.erase(name);
    else if (off_.insert(name).second)
      log::warn("the clock of TRAP server {} is {} s {} this host's; {} s are accepted: see that "
                "both are synchronised",
                name, std::abs(static_cast<std::int64_t>(peer.skew_s)),
                peer.skew_s > 0 ? "ahead of" : "behind", guard_.active->config.clock_skew_s);
  }
}

void GuardWatch::correct_counts(std::uint64_t monotonic_ns) {
  const OpenFlows open = count_open_flows(guard_.flows.values(), guard_.active->config,
                                          guard_.active->slots, monotonic_ns);
  guard_.clients = correct_flow_counts(
      guard_.fds.admitted, bpf_program__fd(guard_.program->progs.trap_guard_correct), open);
  correct_network_counts(*guard_.networks, count_open_network_flows(open));
  __atomic_store_n(&guard_.settings->flow_counts_until_ns, monotonic_ns + counts_hold_ns,
                   __ATOMIC_RELEASE);
  next_correction_ns_ = monotonic_ns + correct_every_ns;
}

} // namespace trap::guard
