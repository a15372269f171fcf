// SPDX-License-Identifier: Apache-2.0
// The clients that complete the most handshakes, out of those whose budgets are kept. All of them
// have shown that they have their address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/address.h"

namespace trap::server {

struct Talker {
  trap_address prefix = {};
  unsigned bits = 0; // 32 or 64: of the family
  std::uint64_t handshakes = 0;
};

// "198.51.100.7/32"
std::string format_talker(const Talker& talker);

// The `how_many` first of map `clients`, most handshakes first; their networks are left out.
std::vector<Talker> top_talkers(int clients_map_fd, std::size_t how_many);

// The same of talkers at hand.
std::vector<Talker> top_of(std::vector<Talker> talkers, std::size_t how_many);

} // namespace trap::server
