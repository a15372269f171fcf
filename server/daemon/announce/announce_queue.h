// SPDX-License-Identifier: Apache-2.0
// Redirects that wait for their announcement. Networks (/24 of IPv4, /48 of IPv6) take turns, so
// that one that completes many handshakes takes no other's share of the rate; and the rate is kept.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "protocol/siphash.h"
#include "server/maps.h"

namespace trap::server {

class AnnounceQueue {
public:
  // Networks share lane_count lanes by a secret hash: no sender can aim at another's.
  AnnounceQueue(const trap_key& hash_key, std::uint32_t rate_per_s);

  void set_rate(std::uint32_t rate_per_s) { rate_per_s_ = rate_per_s; }

  // False if as many of its network wait as may, or none is ever sent.
  bool push(const trap_redirected& redirected);

  // The next in turn; empty if none waits, or if the rate does not let it go yet.
  std::optional<trap_redirected> pop(std::uint64_t now_ns);

  bool is_empty() const { return turns_.empty(); }

private:
  static constexpr std::uint32_t lane_count = 1024; // a power of two
  static constexpr std::size_t lane_max = 64;

  bool take_token(std::uint64_t now_ns);

  trap_key hash_key_;
  std::uint32_t rate_per_s_;
  std::uint64_t tokens_ns_ =
      0; // what is saved up, in units of time; a token costs 10^9 / rate of them
  std::uint64_t refilled_ns_ = 0;
  std::vector<std::deque<trap_redirected>> lanes_;
  std::deque<std::uint32_t> turns_; // lanes in which some wait, each once
};

} // namespace trap::server
