// SPDX-License-Identifier: Apache-2.0
// The hash table `service_table` of server/maps.h, as this side of it sees it: where each key goes,
// without moving one that packets find now.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "runtime/config/endpoint.h"
#include "server/maps.h"

namespace trap::server {

using PlaceTable = std::vector<trap_place>; // TRAP_PLACES of them

// Slot by address and port; port 0 with slot 0 says that some service lives at the address.
using PlacedServices = std::map<Endpoint, std::uint32_t>;

struct PlaceWrite {
  std::uint32_t place = 0;
  trap_place value = {};
};

struct PlaceChanges {
  std::vector<PlaceWrite> added; // to be written first, each with state LEFT before it is TAKEN: a
                                 // packet must not see half of one
  std::vector<PlaceWrite> removed; // in this order
};

// Both kinds of keys for the services at `slots`.
PlacedServices placed_services(const std::map<Endpoint, std::uint32_t>& slots);

// The changes that lead from `now` to a table of exactly `wanted`. An error if a key finds no
// place.
Result<PlaceChanges> change_places(const PlaceTable& now, const PlacedServices& wanted);

// The services in a table, without the entries of port 0.
std::map<Endpoint, std::uint32_t> services_in(const PlaceTable& table);

} // namespace trap::server
