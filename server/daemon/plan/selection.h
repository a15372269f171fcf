// SPDX-License-Identifier: Apache-2.0
// The choice of a client's backend: the weighted rendezvous table of docs/protocol.md 7.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/siphash.h"
#include "runtime/config/endpoint.h"
#include "server/maps.h"

namespace trap::server {

struct Candidate {
  Endpoint endpoint;
  std::uint32_t weight = 1;
  std::uint16_t index = 0; // what the table names it by

  bool operator==(const Candidate&) const = default;
};

// A backend's claim to a slot; the greatest has it.
long double rendezvous_score(const trap_key& selector_key, std::uint32_t slot,
                             const Candidate& candidate);

// The whole table; all candidates are of one family. The order of the candidates does not matter.
void fill_selection(trap_selection& selection, const trap_key& selector_key,
                    const std::vector<Candidate>& candidates);

} // namespace trap::server
