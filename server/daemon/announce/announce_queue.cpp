// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/announce_queue.h"

#include <algorithm>

#include "protocol/address.h"
#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

constexpr std::uint32_t network_v4 = 24, network_v6 = 48;

} // namespace

AnnounceQueue::AnnounceQueue(const trap_key& hash_key, std::uint32_t rate_per_s)
    : hash_key_(hash_key), rate_per_s_(rate_per_s), lanes_(lane_count) {}

bool AnnounceQueue::push(const trap_redirected& redirected) {
  const bool v4 = trap_address_is_v4(&redirected.client);
  const trap_address network = trap_address_mask(redirected.client, v4 ? TRAP_IPV4 : TRAP_IPV6,
                                                 v4 ? network_v4 : network_v6);
  const auto lane = static_cast<std::uint32_t>(
      trap_siphash_words(&hash_key_, network.raw64, 2, 0, 0) & (lane_count - 1));
  if (rate_per_s_ == 0 || lanes_[lane].size() >= lane_max)
    return false;
  if (lanes_[lane].empty())
    turns_.push_back(lane);
  lanes_[lane].push_back(redirected);
  return true;
}

bool AnnounceQueue::take_token(std::uint64_t now_ns) {
  if (rate_per_s_ == 0)
    return false;
  if (refilled_ns_ == 0)
    tokens_ns_ = ns_per_s;
  else if (now_ns > refilled_ns_)
    tokens_ns_ = std::min(ns_per_s,
                          tokens_ns_ + (now_ns - refilled_ns_)); // at most a second's worth at once
  refilled_ns_ = now_ns;
  const std::uint64_t cost_ns = ns_per_s / rate_per_s_;
  if (tokens_ns_ < cost_ns)
    return false;
  tokens_ns_ -= cost_ns;
  return true;
}

std::optional<trap_redirected> AnnounceQueue::pop(std::uint64_t now_ns) {
  if (turns_.empty() || !take_token(now_ns))
    return std::nullopt;
  const std::uint32_t lane = turns_.front();
  turns_.pop_front();
  const trap_redirected next = lanes_[lane].front();
  lanes_[lane].pop_front();
  if (!lanes_[lane].empty())
    turns_.push_back(lane);
  return next;
}

} // namespace trap::server
