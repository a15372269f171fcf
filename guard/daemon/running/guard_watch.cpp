// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/running/guard_watch.h"

#include <cerrno>
#include <sys/mman.h>

#include "guard/daemon/enforcement/lockout.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/kernel/counters.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/nanoseconds.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

constexpr std::uint64_t correct_every_ns = 10 * ns_per_s;
// A daemon that stalls for a few corrections costs no client anything.
constexpr std::uint64_t counts_hold_ns = 60 * ns_per_s;

// The entries of a table of flows, to be changed while packets change them; empty if they cannot
// be.
class FlowTable {
public:
  explicit FlowTable(const bpf_map* map) : count_(bpf_map__max_entries(map)) {
    at_ = mmap(nullptr, count_ * sizeof(trap_flow_bucket), PROT_READ | PROT_WRITE, MAP_SHARED,
               bpf_map__fd(map), 0);
    if (at_ == MAP_FAILED)
      log::warn("{}", map_error(bpf_map__name(map), "map into memory", errno).message);
  }
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;
  ~FlowTable() {
    if (at_ != MAP_FAILED)
      munmap(at_, count_ * sizeof(trap_flow_bucket));
  }

  [[nodiscard]] std::span<trap_flow_bucket> buckets() const {
    return {static_cast<trap_flow_bucket*>(at_), at_ == MAP_FAILED ? 0 : count_};
  }

private:
  std::size_t count_;
  void* at_ = MAP_FAILED;
};

} // namespace

void GuardWatch::tick() {
  const trap_clock_anchor now = read_clocks();
  renew_settings(*guard_.settings, guard_.active->key.secret, now);
  watch_mode(now.monotonic_ns);
  if (now.monotonic_ns >= next_correction_ns_)
    correct_counts(now.monotonic_ns);
  follow_interfaces(guard_);
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

// Where sockets are this host's, only the socket's end ends the count.
void GuardWatch::keep_flows_of_sockets(std::uint64_t monotonic_ns) {
  const FlowTable flows{guard_.program->maps.flows}, half_open{guard_.program->maps.half_open};
  guard_.unseen.note(monotonic_ns, take_unseen(flows.buckets()) + take_unseen(half_open.buckets()));
  const auto fading = find_fading(flows.buckets(), guard_.active->config, monotonic_ns);
  if (!fading.empty())
    revive_flows(fading, established_here(), monotonic_ns);
}

void GuardWatch::look_for_refused_announcements(std::uint64_t monotonic_ns) {
  CounterReader counters(guard_.fds.counters);
  std::uint64_t refused = counters.read(0)[TRAP_DROP_ANNOUNCE_TIME].packets;
  for (const auto& [port, slot] : guard_.active->slots)
    refused += counters.read(slot)[TRAP_DROP_ANNOUNCE_TIME].packets;
  if (guard_.refused_for_time && refused > *guard_.refused_for_time)
    guard_.refused_ns = monotonic_ns;
  guard_.refused_for_time = refused;
}

void GuardWatch::correct_counts(std::uint64_t monotonic_ns) {
  keep_flows_of_sockets(monotonic_ns);
  look_for_refused_announcements(monotonic_ns);
  const OpenFlows open = count_open_flows(guard_.flows.values(), guard_.active->config,
                                          guard_.active->slots, monotonic_ns);
  guard_.clients = correct_flow_counts(guard_.client_budgets.values(), open, guard_.client_secret);
  correct_network_counts(*guard_.networks, count_open_network_flows(open));
  __atomic_store_n(&guard_.settings->flow_counts_until_ns, monotonic_ns + counts_hold_ns,
                   __ATOMIC_RELEASE);
  next_correction_ns_ = monotonic_ns + correct_every_ns;
}

} // namespace trap::guard
