// SPDX-License-Identifier: Apache-2.0
// What trap-guard's daemon watches while its program works: the trial of enforcing, keys, the
// clocks of TRAP servers, counts of flows, and whom the configuration would cut off.
#include <algorithm>
#include <cstdlib>
#include <ctime>

#include <bpf/libbpf.h>
#include <fmt/chrono.h>

#include "guard/daemon/guard_part.h"
#include "guard/daemon/lockout.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"

namespace trap::guard {
namespace {

constexpr std::uint64_t kNsPerS = 1000000000;
constexpr std::uint64_t kCorrectEveryNs = 10 * kNsPerS;
constexpr std::uint64_t kCountsHoldNs =
    60 * kNsPerS; // a daemon that stalls for a few corrections costs nobody anything

} // namespace

void GuardPart::watch_mode(std::uint64_t monotonic_ns) {
  const Enforcement now = enforcement_of(*settings_, monotonic_ns);
  if (enforcement_.confirm_within_s && now.mode == Mode::monitor) {
    ran_out_ = true;
    log::warn("mode: back to monitor, because nobody confirmed in time: nothing is dropped");
  }
  enforcement_ = now;
}

void GuardPart::watch_keys(std::uint64_t unix_ns) {
  const double left_s = key_seconds_left(settings_->ticket_keys, unix_ns);
  const bool scarce = left_s < kKeysScarceS;
  if (scarce && !keys_scarce_)
    log::warn("keys for {:.0f} more minutes only: then {}", left_s / 60,
              config_.stale_drops ? "nothing passes to the protected ports"
                                  : "only established connections go on");
  keys_scarce_ = scarce;
}

// Said once, before tickets and announcements are refused because of it.
void GuardPart::watch_clocks() {
  for (const trap_address& address : config_.trap_servers) {
    const trap_guard_peer peer = read_peer(fds_, address);
    const std::string name = format_address(address);
    const bool off = peer.heard_s != 0 &&
                     std::abs(static_cast<std::int64_t>(peer.skew_s)) * 2 > config_.clock_skew_s;
    if (!off)
      off_.erase(name);
    else if (off_.insert(name).second)
      log::warn("the clock of TRAP server {} is {} s {} this host's; {} s are accepted: see that "
                "both are synchronised",
                name, std::abs(static_cast<std::int64_t>(peer.skew_s)),
                peer.skew_s > 0 ? "ahead of" : "behind", config_.clock_skew_s);
  }
}

void GuardPart::correct_counts(std::uint64_t monotonic_ns) {
  clients_ = correct_flow_counts(fds_.admitted,
                                 count_open_flows(flows_.values(), config_, slots_, monotonic_ns));
  __atomic_store_n(&settings_->flow_counts_until_ns, monotonic_ns + kCountsHoldNs,
                   __ATOMIC_RELEASE);
  next_correction_ns_ = monotonic_ns + kCorrectEveryNs;
}

// Connections whose flow the guard has go on, whatever the configuration says of sockets.
std::vector<std::string> GuardPart::lockouts(const GuardConfig& config,
                                             const std::optional<SshConnection>& ssh) {
  std::vector<trap_flow_key> open = established_here();
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (!flows_.values().empty())
    std::erase_if(open, [&](const trap_flow_key& key) {
      return has_flow(flows_.values(), key, settings_->table_keys, now_ns);
    });
  return lockout_warnings(config, ssh, open);
}

std::vector<std::string> GuardPart::warnings() {
  std::vector<std::string> all = lockouts(config_, find_ssh_connection());
  const std::vector<std::string> doubts = doubts_about(config_);
  all.insert(all.end(), doubts.begin(), doubts.end());
  return all;
}

void GuardPart::log_warnings() {
  for (const std::string& warning : warnings())
    log::warn("{}", warning);
}

int GuardPart::event_fd() const {
  return suspects_buffer_ ? ring_buffer__epoll_fd(suspects_buffer_) : -1;
}

void GuardPart::handle_events() {
  ring_buffer__consume(suspects_buffer_);
}

std::string GuardPart::parting_words() {
  const std::uint64_t end_ns = keys_end_unix_ns(settings_->ticket_keys, read_clocks().unix_ns);
  if (end_ns == 0)
    return ", without a key for the present time";
  return fmt::format(", with keys until {:%Y-%m-%d %H:%M:%S} UTC; then {}",
                     fmt::gmtime(static_cast<std::time_t>(end_ns / kNsPerS)),
                     config_.stale_drops ? "nothing passes to the protected ports"
                                         : "only established connections go on");
}

} // namespace trap::guard
