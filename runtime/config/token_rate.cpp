// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/token_rate.h"

#include <algorithm>

#include "runtime/nanoseconds.h"

namespace trap {
namespace {

constexpr std::uint64_t budget_burst_ns = 10 * ns_per_s;
constexpr std::uint64_t cap_burst_ns = ns_per_s / 10;
constexpr std::uint64_t flow_burst_ns = ns_per_s;
constexpr std::uint64_t cap_chunks_per_s = 10000; // at most: how often CPUs meet at a cap
constexpr std::uint64_t flow_chunks_per_s = 1000;
constexpr std::uint64_t chunk_max = 64;
constexpr std::uint64_t bytes_per_kib = 1024;
// The longest frame that a program may see, whether a jumbo frame or one that receive offload made
// of many: the largest IP packet in Ethernet with two VLAN tags.
constexpr std::uint64_t frame_max_kib =
    (14 + 2 * 4 + 40 + 65535 + bytes_per_kib - 1) / bytes_per_kib;

// A token is `per` of what comes `per_s` a second.
trap_rate make_rate(std::uint64_t per_s, std::uint64_t burst_ns, std::uint64_t chunk,
                    std::uint64_t per = 1) {
  trap_rate rate = {};
  rate.chunk = 1;
  if (per_s == 0)
    return rate;
  rate.token_ns = std::max<std::uint64_t>(1, (ns_per_s * per + per_s / 2) / per_s);
  rate.chunk = static_cast<__u32>(chunk);
  rate.burst_ns = std::max<std::uint64_t>(burst_ns, rate.token_ns * chunk);
  return rate;
}

std::uint64_t chunk_of(std::uint64_t tokens_per_s, std::uint64_t chunks_per_s) {
  return std::clamp<std::uint64_t>(tokens_per_s / chunks_per_s, 1, chunk_max);
}

} // namespace

trap_rate budget_rate(std::uint64_t per_s) {
  return make_rate(per_s, budget_burst_ns, 1);
}

trap_rate cap_rate(std::uint64_t per_s) {
  return make_rate(per_s, cap_burst_ns, chunk_of(per_s, cap_chunks_per_s));
}

trap_rate packet_rate(std::uint64_t per_s) {
  return make_rate(per_s, flow_burst_ns, chunk_of(per_s, flow_chunks_per_s));
}

trap_rate byte_rate(std::uint64_t bytes_per_s) {
  trap_rate rate =
      make_rate(bytes_per_s, flow_burst_ns,
                chunk_of(bytes_per_s / bytes_per_kib, flow_chunks_per_s), bytes_per_kib);
  rate.burst_ns = std::max<std::uint64_t>(rate.burst_ns, rate.token_ns * frame_max_kib);
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
