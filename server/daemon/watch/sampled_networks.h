// SPDX-License-Identifier: Apache-2.0
// The networks whose handshakes were in the sample, and whether they became connections. A host
// that loses handshakes loses those of every network; a firewall that bans some clients loses only
// theirs, however many they complete.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "protocol/address.h"

namespace trap::server {

// How many networks (/24, /48) are known, and how many of them get through.
struct NetworkCounts {
  std::uint64_t all = 0;
  std::uint64_t arrived = 0;
};

struct SampledClient {
  trap_address address = {};
  unsigned interface = 0; // index: by which it came
};

class SampledNetworks {
public:
  void note(const SampledClient& client, bool arrived, std::uint64_t now_ns);
  NetworkCounts count(std::uint64_t now_ns) const;

  // The last client of each network that has lost handshakes within the last minute, and got none
  // through since: at most so many, those of the last losses.
  std::vector<SampledClient> last_losers(std::uint64_t now_ns, std::size_t most_losers) const;
  void clear() { known_.clear(); }

private:
  struct Fate {
    std::uint64_t arrived_ns = 0; // 0: never
    std::uint64_t lost_ns = 0;
    unsigned lost_since = 0; // handshakes, since the last one that arrived
    SampledClient loser = {};
  };
  using Network = std::array<std::uint8_t, sizeof(trap_address)>;

  void forget_old(std::uint64_t now_ns);

  std::map<Network, Fate> known_;
};

} // namespace trap::server
