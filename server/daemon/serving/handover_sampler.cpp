// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/handover_sampler.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bpf/libbpf.h>

#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

// A handshake is through the host by then, and its client has had time to end it in order.
constexpr std::uint64_t settled_ns = ns_per_s;
constexpr std::uint64_t stale_ns = 60 * ns_per_s; // of an earlier run

// Only an interface without hardware brings segments whose checksum is left to a device. From a
// wire, the stack would drop them.
bool is_virtual(unsigned interface_index) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo info = {};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request = {};
  request.ifr_data = reinterpret_cast<char*>(&info);
  return if_indextoname(interface_index, request.ifr_name) &&
         ioctl(any.get(), SIOCETHTOOL, &request) == 0 && info.bus_info[0] == 0;
}

const PlannedService* service_in(const ServerPlan& plan, std::uint32_t slot) {
  const auto at = std::ranges::find(plan.services, slot, &PlannedService::slot);
  return at == plan.services.end() ? nullptr : &*at;
}

} // namespace

Result<void> HandoverSampler::open(int watched_fd, int handed_fd) {
  auto watched = MappedValue<WatchedHandovers>::make(watched_fd, "watched_handovers");
  if (!watched)
    return watched.error();
  watched_ = std::move(*watched);
  handed_fd_ = handed_fd;
  return {};
}

void HandoverSampler::advance(const ServerPlan& plan, const ListenerInspector& inspector,
                              const Overflowed& overflowed, std::uint64_t now_ns) {
  now_ns_ = now_ns;
  for (trap_watched_handover& place : *watched_) {
    const __u32 state = __atomic_load_n(&place.state, __ATOMIC_ACQUIRE);
    if (state == TRAP_WATCH_FREE || state == TRAP_WATCH_WRITTEN ||
        now_ns < place.monotonic_ns + settled_ns)
      continue;
    trap_watched_handover watched = place;
    watched.state = state;
    const PlannedService* planned = service_in(plan, watched.slot);
    if (planned && now_ns < watched.monotonic_ns + stale_ns &&
        watched.monotonic_ns >= forgotten_ns_)
      note(watched, *planned, inspector, overflowed);
    __atomic_store_n(&place.state, __u32{TRAP_WATCH_FREE}, __ATOMIC_RELEASE);
  }
}

void HandoverSampler::forget_before(std::uint64_t monotonic_ns) {
  forgotten_ns_ = monotonic_ns;
  for (auto& [address, sampled] : samples_) {
    sampled.own.clear();
    sampled.kernel.clear();
  }
}

void HandoverSampler::note(const trap_watched_handover& watched, const PlannedService& planned,
                           const ListenerInspector& inspector, const Overflowed& overflowed) {
  if (watched.state == TRAP_WATCH_ENDED)
    return;
  const Arrival arrival =
      watched.state == TRAP_WATCH_ARRIVED
          ? Arrival::arrived
          : inspector.arrival({watched.client, TRAP_FROM_BE16(watched.client_port)},
                              planned.address, watched.interface_index);
  // Only from a wire would the stack drop it for its checksum.
  const bool may_be_false =
      (watched.flags & TRAP_WATCHED_PARTIAL) && !is_virtual(watched.interface_index);
  if (arrival == Arrival::unknown ||
      (arrival == Arrival::lost &&
       (may_be_false || overflowed(planned.address, watched.monotonic_ns))))
    return;
  const bool of_kernel = watched.flags & TRAP_WATCHED_KERNELS;
  Sampled& sampled = samples_[planned.address];
  SampleCounts& counts = of_kernel ? sampled.counts.kernel : sampled.counts.own;
  const bool arrived = arrival == Arrival::arrived;
  (arrived ? counts.arrived : counts.lost)++;
  (of_kernel ? sampled.kernel : sampled.own)
      .note({watched.client, watched.interface_index}, arrived, now_ns_);
}

Samples HandoverSampler::samples(const Endpoint& address) const {
  const auto at = samples_.find(address);
  if (at == samples_.end())
    return {};
  Samples samples = at->second.counts;
  samples.own.networks = at->second.own.count(now_ns_);
  samples.kernel.networks = at->second.kernel.count(now_ns_);
  return samples;
}

std::vector<SampledClient> HandoverSampler::last_losers(const Endpoint& address,
                                                        bool by_kernel) const {
  constexpr std::size_t most = 3; // a test of one may take 60 ms
  const auto at = samples_.find(address);
  if (at == samples_.end())
    return {};
  return (by_kernel ? at->second.kernel : at->second.own).last_losers(now_ns_, most);
}

std::uint64_t HandoverSampler::handed(std::uint32_t slot) const {
  std::vector<std::uint64_t> of_cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(handed_fd_, &slot, of_cpus.data()) != 0)
    return 0;
  return std::accumulate(of_cpus.begin(), of_cpus.end(), std::uint64_t{0});
}

} // namespace trap::server
