// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/token_rate.h"

#include <algorithm>

namespace trap::server {
namespace {

constexpr std::uint64_t kNsPerS = 1000000000;
constexpr std::uint64_t kBudgetBurstNs = 10 * kNsPerS;
constexpr std::uint64_t kCapBurstNs = kNsPerS / 10;
constexpr std::uint64_t kChunksPerS = 10000; // at most: how often CPUs meet at a cap
constexpr std::uint64_t kChunkMax = 64;

trap_rate make_rate(std::uint64_t per_s, std::uint64_t burst_ns, std::uint64_t chunk) {
  trap_rate rate = {};
  rate.chunk = 1;
  if (per_s == 0)
    return rate;
  rate.token_ns = std::max<std::uint64_t>(1, (kNsPerS + per_s / 2) / per_s);
  rate.chunk = static_cast<__u32>(chunk);
  rate.burst_ns = std::max<std::uint64_t>(burst_ns, rate.token_ns * chunk);
  return rate;
}

} // namespace

trap_rate budget_rate(std::uint64_t per_s) {
  return make_rate(per_s, kBudgetBurstNs, 1);
}

trap_rate cap_rate(std::uint64_t per_s) {
  return make_rate(per_s, kCapBurstNs, std::clamp<std::uint64_t>(per_s / kChunksPerS, 1, kChunkMax));
}

} // namespace trap::server
