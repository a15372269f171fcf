// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/selection.h"

#include <cmath>

namespace trap::server {
namespace {

std::uint64_t hash_slot(const trap_key& key, std::uint64_t slot, const Endpoint& endpoint) {
  const __u64 port = TRAP_BE16(endpoint.port);

  if (family_of(endpoint.address) == TRAP_IPV4) {
    const __u64 words[] = {slot};
    return trap_siphash_words(&key, words, 1, endpoint.address.be32[3] | port << 32, 6);
  }
  const __u64 words[] = {slot, endpoint.address.raw64[0], endpoint.address.raw64[1]};
  return trap_siphash_words(&key, words, 3, port, 2);
}

} // namespace

long double rendezvous_score(const trap_key& selector_key, std::uint32_t slot,
                             const Candidate& candidate) {
  // 2^53 + 1 needs more than a double's 53 bits; in a double u could be 1, and the score infinite.
  static_assert(__LDBL_MANT_DIG__ >= 64);
  const auto h = static_cast<long double>(hash_slot(selector_key, slot, candidate.endpoint) >> 11);
  const long double u = (h + 1.0L) / (0x1p53L + 1.0L);

  return static_cast<long double>(candidate.weight) / -std::log(u);
}

void fill_selection(trap_selection& selection, const trap_key& selector_key,
                    const std::vector<Candidate>& candidates) {
  selection = {};
  selection.backend_count = static_cast<__u32>(candidates.size());
  for (std::uint32_t slot = 0; slot < TRAP_SELECTION_SLOTS; slot++) {
    const Candidate* best = nullptr;
    long double best_score = 0;
    for (const Candidate& candidate : candidates) {
      long double score = rendezvous_score(selector_key, slot, candidate);
      bool wins = !best || score > best_score ||
                  (score == best_score && candidate.endpoint < best->endpoint);
      if (!wins)
        continue;
      best = &candidate;
      best_score = score;
    }
    selection.backends[slot] = best ? best->index : 0;
  }
}

} // namespace trap::server
