// SPDX-License-Identifier: Apache-2.0
// Knows which clients were announced to which guards: a redirect is worth an announcement unless
// the guard knows of it for half its lifetime to come. Memory is bounded: a set-associative table,
// in which the oldest entry of a set makes room.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/address.h"
#include "protocol/siphash.h"

namespace trap::server {

class AnnounceFilter {
public:
  // `hash_key` is secret, so that no sender can aim at one set of the table. `set_count` is a power
  // of two.
  explicit AnnounceFilter(const trap_key& hash_key, std::uint32_t set_count = 1 << 14);

  // Is a redirect of a client, masked to its scope, to a backend to be announced?
  bool is_due(const trap_address& client, std::uint32_t backend, std::uint64_t now_ns) const;

  // It is about to be.
  void remember(const trap_address& client, std::uint32_t backend, std::uint32_t lifetime_s,
                std::uint64_t now_ns);

  // As if nothing had been announced yet.
  void forget() { entries_.assign(entries_.size(), Entry{}); }

private:
  static constexpr std::uint32_t ways_per_set = 4;

  struct Entry {
    trap_address client;
    std::uint32_t backend;
    std::uint64_t again_ns; // from then on it is announced again; 0: empty

    bool is_of(const trap_address& of, std::uint32_t at) const;
  };

  // Index of the first entry of the set.
  std::size_t set_of(const trap_address& client, std::uint32_t backend) const;

  trap_key hash_key_;
  std::uint32_t set_count_;
  std::vector<Entry> entries_;
};

} // namespace trap::server
