// SPDX-License-Identifier: Apache-2.0
// Decides which redirects are worth an announcement: not one that the guard knows of for half its
// lifetime to come, and not more than a rate. Memory is bounded: a set-associative table, in which
// the oldest entry of a set makes room.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/address.h"
#include "protocol/siphash.h"

namespace trap::server {

enum class AnnounceChoice { send, deduplicated, rate_limited };

class AnnounceFilter {
public:
  // `hash_key` is secret, so that no sender can aim at one set of the table. `set_count` is a power
  // of two.
  AnnounceFilter(const trap_key& hash_key, std::uint32_t rate_per_s,
                 std::uint32_t set_count = 1 << 14);

  void set_rate(std::uint32_t rate_per_s) { rate_per_s_ = rate_per_s; }

  // For a redirect of a client, masked to its scope, to a backend. A redirect that is to be sent is
  // remembered as announced.
  AnnounceChoice choose(const trap_address& client, std::uint32_t backend, std::uint32_t lifetime_s,
                        std::uint64_t now_ns);

private:
  static constexpr std::uint32_t kWays = 4;

  struct Entry {
    trap_address client;
    std::uint32_t backend;
    std::uint64_t again_ns; // from then on it is announced again; 0: empty
  };

  bool take_token(std::uint64_t now_ns);

  trap_key hash_key_;
  std::uint32_t rate_per_s_;
  std::uint32_t set_count_;
  std::uint64_t tokens_ns_ =
      0; // what is saved up, in units of time; a token costs 10^9 / rate of them
  std::uint64_t refilled_ns_ = 0;
  std::vector<Entry> entries_;
};

} // namespace trap::server
