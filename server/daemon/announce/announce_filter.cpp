// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/announce_filter.h"

#include "runtime/nanoseconds.h"

namespace trap::server {

bool AnnounceFilter::Entry::is_of(const trap_address& of, std::uint32_t at) const {
  return again_ns != 0 && backend == at && trap_address_equal(&client, &of);
}

AnnounceFilter::AnnounceFilter(const trap_key& hash_key, std::uint32_t set_count)
    : hash_key_(hash_key), set_count_(set_count),
      entries_(std::size_t{set_count} * ways_per_set, Entry{}) {}

std::size_t AnnounceFilter::set_of(const trap_address& client, std::uint32_t backend) const {
  const __u64 words[] = {client.raw64[0], client.raw64[1]};
  return (trap_siphash_words(&hash_key_, words, 2, backend, 4) & (set_count_ - 1)) * ways_per_set;
}

bool AnnounceFilter::is_due(const trap_address& client, std::uint32_t backend,
                            std::uint64_t now_ns) const {
  const Entry* const first = &entries_[set_of(client, backend)];
  for (const Entry* entry = first; entry < first + ways_per_set; entry++)
    if (entry->is_of(client, backend) && now_ns < entry->again_ns)
      return false;
  return true;
}

void AnnounceFilter::remember(const trap_address& client, std::uint32_t backend,
                              std::uint32_t lifetime_s, std::uint64_t now_ns) {
  Entry* const first = &entries_[set_of(client, backend)];
  Entry* room = first;
  for (Entry* entry = first; entry < first + ways_per_set; entry++) {
    if (entry->is_of(client, backend)) {
      room = entry;
      break;
    }
    if (entry->again_ns < room->again_ns)
      room = entry;
  }
  *room = Entry{client, backend, now_ns + lifetime_s * ns_per_s / 2};
}

} // namespace trap::server
