// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/token_rate.h"

#include <algorithm>

#include "runtime/nanoseconds.h"

namespace trap {
namespace {

constexpr std::uint64_t kBudgetBurstNs = 10 * kNsPerS;
constexpr std::uint64_t kCapBurstNs = kNsPerS / 10;
constexpr std::uint64_t kFlowBurstNs = kNsPerS;
constexpr std::uint64_t kChunksPerS = 10000; // at most: how often CPUs meet at a cap
constexpr std::uint64_t kFlowChunksPerS = 1000;
constexpr std::uint64_t kChunkMax = 64;
constexpr std::uint64_t kBytesPerKib = 1024;
// The longest frame that a program may see, whether a jumbo frame or one that receive offload made
// of many: the largest IP packet in Ethernet with two VLAN tags.
constexpr std::uint64_t kFrameMaxKib = (14 + 2 * 4 + 40 + 65535 + kBytesPerKib - 1) / kBytesPerKib;

// A token is `per` of what comes `per_s` a second.
trap_rate make_rate(std::uint64_t per_s, std::uint64_t burst_ns, std::uint64_t chunk,
                    std::uint64_t per = 1) {
  trap_rate rate = {};
  rate.chunk = 1;
  if (per_s == 0)
    return rate;
  rate.token_ns = std::max<std::uint64_t>(1, (kNsPerS * per + per_s / 2) / per_s);
  rate.chunk = static_cast<__u32>(chunk);
  rate.burst_ns = std::max<std::uint64_t>(burst_ns, rate.token_ns * chunk);
  return rate;
}

std::uint64_t chunk_of(std::uint64_t tokens_per_s, std::uint64_t chunks_per_s) {
  return std::clamp<std::uint64_t>(tokens_per_s / chunks_per_s, 1, kChunkMax);
}

} // namespace

trap_rate budget_rate(std::uint64_t per_s) {
  return make_rate(per_s, kBudgetBurstNs, 1);
}

trap_rate cap_rate(std::uint64_t per_s) {
  return make_rate(per_s, kCapBurstNs, chunk_of(per_s, kChunksPerS));
}

trap_rate packet_rate(std::uint64_t per_s) {
  return make_rate(per_s, kFlowBurstNs, chunk_of(per_s, kFlowChunksPerS));
}

trap_rate byte_rate(std::uint64_t bytes_per_s) {
  trap_rate rate = make_rate(bytes_per_s, kFlowBurstNs,
                             chunk_of(bytes_per_s / kBytesPerKib, kFlowChunksPerS), kBytesPerKib);
  rate.burst_ns = std::max<std::uint64_t>(rate.burst_ns, rate.token_ns * kFrameMaxKib);
  return rate;
}

void publish_rate(trap_rate& published, const trap_rate& rate) {
  if (published.token_ns == rate.token_ns && published.burst_ns == rate.burst_ns &&
      published.chunk == rate.chunk)
    return;
  __atomic_store_n(&published.token_ns, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&published.burst_ns, rate.burst_ns, __ATOMIC_RELEASE);
  __atomic_store_n(&published.chunk, rate.chunk, __ATOMIC_RELEASE);
  __atomic_store_n(&published.token_ns, rate.token_ns, __ATOMIC_RELEASE);
}

} // namespace trap
