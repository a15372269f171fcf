// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/announce_filter.h"

#include <algorithm>

#include "runtime/nanoseconds.h"

namespace trap::server {
AnnounceFilter::AnnounceFilter(const trap_key& hash_key, std::uint32_t rate_per_s,
                               std::uint32_t set_count)
    : hash_key_(hash_key), rate_per_s_(rate_per_s), set_count_(set_count),
      entries_(std::size_t{set_count} * kWays, Entry{}) {}

bool AnnounceFilter::take_token(std::uint64_t now_ns) {
  if (rate_per_s_ == 0)
    return false;
  if (refilled_ns_ == 0)
    tokens_ns_ = kNsPerS;
  else if (now_ns > refilled_ns_)
    tokens_ns_ =
        std::min(kNsPerS, tokens_ns_ + (now_ns - refilled_ns_)); // at most a second's worth at once
  refilled_ns_ = now_ns;
  const std::uint64_t cost_ns = kNsPerS / rate_per_s_;
  if (tokens_ns_ < cost_ns)
    return false;
  tokens_ns_ -= cost_ns;
  return true;
}

AnnounceChoice AnnounceFilter::choose(const trap_address& client, std::uint32_t backend,
                                      std::uint32_t lifetime_s, std::uint64_t now_ns) {
  const __u64 words[] = {client.raw64[0], client.raw64[1]};
  const std::uint64_t set = trap_siphash_words(&hash_key_, words, 2, backend, 4) & (set_count_ - 1);
  Entry* const first = &entries_[set * kWays];
  Entry* room = first;
  for (Entry* entry = first; entry < first + kWays; entry++) {
    if (entry->again_ns != 0 && entry->backend == backend &&
        trap_address_equal(&entry->client, &client)) {
      if (now_ns < entry->again_ns)
        return AnnounceChoice::deduplicated;
      room = entry;
      break;
    }
    if (entry->again_ns < room->again_ns)
      room = entry;
  }
  if (!take_token(now_ns))
    return AnnounceChoice::rate_limited;
  *room = Entry{client, backend, now_ns + lifetime_s * kNsPerS / 2};
  return AnnounceChoice::send;
}

} // namespace trap::server
