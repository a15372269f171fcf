// SPDX-License-Identifier: Apache-2.0
// Sources that enforcing would hit: the program names them while it only monitors; the most
// frequent and the latest are kept.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "guard/maps.h"

namespace trap::guard {

struct Suspect {
  trap_address source = {};
  std::uint64_t times = 0; // that the program named it, which it does only now and then
  std::uint32_t slot = 0;  // of the service it last wanted
  std::uint32_t verdict = 0;
  std::uint64_t seen_unix_s = 0;
};

class Suspects {
public:
  explicit Suspects(std::size_t limit = 1024) : limit_(limit) {}

  // The source that was not named for longest makes room for a new one.
  void add(const trap_suspect& named, std::uint64_t unix_s);

  // The most frequent first.
  std::vector<Suspect> top(std::size_t count) const;
  std::size_t size() const { return by_source_.size(); }
  void clear() { by_source_.clear(); }

private:
  struct Order {
    bool operator()(const trap_address& a, const trap_address& b) const {
      return std::memcmp(&a, &b, sizeof(a)) < 0;
    }
  };

  std::size_t limit_;
  std::map<trap_address, Suspect, Order> by_source_;
};

} // namespace trap::guard
