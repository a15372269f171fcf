// SPDX-License-Identifier: Apache-2.0
// The redirects to be renewed before they end, so that no connection waits for a handshake. No
// maps, sockets or clock here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "client/maps.h"
#include "runtime/config/endpoint.h"

namespace trap::client {

struct RenewalCounts {
  std::uint64_t sent = 0;    // SYNs
  std::uint64_t renewed = 0; // redirects that the TRAP server gave anew
  std::uint64_t failed = 0;  // those that ended without
};

class RenewalPlan {
public:
  static constexpr std::size_t most_at_once = 50;
  static constexpr int list_attempts = 3;

  using Entry = std::pair<trap_redirect_key, trap_redirect>;

  // Those of `held`, all redirects there are, that are to be asked for now: in use (a connection
  // went straight by it), taken up from an OFFER, and in the last quarter of their time; the ones
  // that end first, most_at_once at most, each list_attempts times in that quarter.
  std::vector<Entry> choose(const std::vector<Entry>& held, std::uint64_t now_ns);

  // Forgets what is under way; nothing of it counts as failed.
  void reset() { asked_.clear(); }

  const RenewalCounts& counts() const { return counts_; }

private:
  struct Asked {
    std::uint64_t learnt_ns = 0, until_ns = 0, last_ns = 0;
    int attempts = 0;
  };
  using Key = std::pair<Endpoint, Endpoint>; // local address, service

  void conclude(const std::map<Key, const trap_redirect*>& held, std::uint64_t now_ns);
  bool is_due(const Entry& entry, std::uint64_t now_ns) const;

  std::map<Key, Asked> asked_;
  RenewalCounts counts_;
};

} // namespace trap::client
