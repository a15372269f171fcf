// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/plan/service_table.h"

#include <optional>
#include <set>

#include <fmt/core.h>

namespace trap::server {
namespace {

Endpoint key_at(const trap_place& place) {
  return {place.address, TRAP_FROM_BE16(place.port)};
}

std::uint32_t next_of(std::uint32_t place) {
  return (place + 1) & (TRAP_PLACES - 1);
}

trap_place place_value(const Endpoint& key, std::uint32_t slot) {
  trap_place value = {};
  value.slot = slot;
  value.port = TRAP_BE16(key.port);
  value.state = TRAP_PLACE_TAKEN;
  value.address = key.address;
  return value;
}

struct Found {
  std::optional<std::uint32_t> here; // where the key lies, as a packet would find it
  std::optional<std::uint32_t> free; // the first place it could take
};

Found find_place(const PlaceTable& table, const Endpoint& key) {
  Found found;
  bool ends = false; // a packet would not look further
  std::uint32_t at = trap_place_of(&key.address, TRAP_BE16(key.port));
  for (int probe = 0; probe < TRAP_PLACE_PROBES; probe++, at = next_of(at)) {
    const trap_place& place = table[at];
    if (place.state == TRAP_PLACE_TAKEN) {
      if (!ends && !found.here && key_at(place) == key)
        found.here = at;
      continue;
    }
    if (!found.free)
      found.free = at;
    ends = ends || place.state == TRAP_PLACE_NEVER_TAKEN;
  }
  return found;
}

// A place behind which no search needs to go on becomes as new, and so do those before it that were
// only passed through.
void leave(PlaceTable& table, std::uint32_t place, std::vector<PlaceWrite>& removed) {
  if (table[next_of(place)].state != TRAP_PLACE_NEVER_TAKEN) {
    table[place].state = TRAP_PLACE_LEFT;
    removed.push_back({place, table[place]});
    return;
  }
  for (std::uint32_t at = place; at == place || table[at].state == TRAP_PLACE_LEFT;
       at = (at - 1) & (TRAP_PLACES - 1)) {
    table[at] = {};
    removed.push_back({at, table[at]});
  }
}

} // namespace

PlacedServices placed_services(const std::map<Endpoint, std::uint32_t>& slots) {
  PlacedServices placed(slots);
  for (const auto& [address, slot] : slots)
    placed[{address.address, 0}] = 0;
  return placed;
}

Result<PlaceChanges> change_places(const PlaceTable& now, const PlacedServices& wanted) {
  PlaceChanges changes;
  PlaceTable table = now;
  std::set<std::uint32_t> kept;
  for (const auto& [key, slot] : wanted) {
    const Found found = find_place(table, key);
    const auto place = found.here ? found.here : found.free;
    if (!place)
      return Error{fmt::format("no place for service address {} in the map \"service_table\": {} "
                               "others are in its way; use another port",
                               format_endpoint(key), TRAP_PLACE_PROBES)};
    kept.insert(*place);
    if (found.here && table[*place].slot == slot)
      continue;
    table[*place] = place_value(key, slot);
    changes.added.push_back({*place, table[*place]});
  }
  for (std::uint32_t at = 0; at < TRAP_PLACES; at++) {
    if (table[at].state == TRAP_PLACE_TAKEN && !kept.contains(at))
      leave(table, at, changes.removed);
  }
  return changes;
}

std::map<Endpoint, std::uint32_t> services_in(const PlaceTable& table) {
  std::map<Endpoint, std::uint32_t> slots;
  for (const trap_place& place : table) {
    if (place.state == TRAP_PLACE_TAKEN && place.port != 0)
      slots[key_at(place)] = place.slot;
  }
  return slots;
}

} // namespace trap::server
