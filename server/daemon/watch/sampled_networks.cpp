// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/sampled_networks.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

// An arrival speaks for the host that long; it may have changed since. So many losses of the same
// network behind it say that it has.
constexpr std::uint64_t arrival_counts_ns = 30 * ns_per_s;
constexpr unsigned losses_outweigh = 8;
constexpr std::uint64_t loss_counts_ns = 600 * ns_per_s;
constexpr std::uint64_t loser_counts_ns = 60 * ns_per_s;
constexpr std::size_t most = 4096;
constexpr unsigned network_v4 = 24, network_v6 = 48;

bool is_recent(std::uint64_t then_ns, std::uint64_t for_ns, std::uint64_t now_ns) {
  return then_ns != 0 && now_ns < then_ns + for_ns;
}

} // namespace

void SampledNetworks::note(const SampledClient& client, bool arrived, std::uint64_t now_ns) {
  const bool v4 = trap_address_is_v4(&client.address);
  const trap_address masked =
      trap_address_mask(client.address, v4 ? TRAP_IPV4 : TRAP_IPV6, v4 ? network_v4 : network_v6);
  Network network;
  std::memcpy(network.data(), &masked, network.size());
  if (known_.size() >= most && known_.find(network) == known_.end()) {
    forget_old(now_ns);
    if (known_.size() >= most)
      return;
  }
  Fate& fate = known_[network];
  if (arrived) {
    fate.arrived_ns = now_ns;
    fate.lost_since = 0;
  } else {
    fate.lost_ns = now_ns;
    fate.lost_since++;
    fate.loser = client;
  }
}

NetworkCounts SampledNetworks::count(std::uint64_t now_ns) const {
  NetworkCounts counts;
  for (const auto& [network, fate] : known_) {
    const bool arrives =
        is_recent(fate.arrived_ns, arrival_counts_ns, now_ns) && fate.lost_since < losses_outweigh;
    counts.arrived += arrives;
    counts.all += arrives || is_recent(fate.lost_ns, loss_counts_ns, now_ns);
  }
  return counts;
}

std::vector<SampledClient> SampledNetworks::last_losers(std::uint64_t now_ns,
                                                        std::size_t most_losers) const {
  std::vector<const Fate*> losses;
  for (const auto& [network, fate] : known_)
    if (fate.lost_since > 0 && is_recent(fate.lost_ns, loser_counts_ns, now_ns))
      losses.push_back(&fate);
  std::ranges::sort(losses, std::greater{}, &Fate::lost_ns);
  std::vector<SampledClient> losers;
  for (std::size_t i = 0; i < std::min(most_losers, losses.size()); i++)
    losers.push_back(losses[i]->loser);
  return losers;
}

void SampledNetworks::forget_old(std::uint64_t now_ns) {
  std::erase_if(known_, [&](const auto& known) {
    return !is_recent(std::max(known.second.arrived_ns, known.second.lost_ns), loss_counts_ns,
                      now_ns);
  });
}

} // namespace trap::server
