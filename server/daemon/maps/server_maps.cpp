// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/maps/server_maps.h"

#include <algorithm>

#include "runtime/kernel/bpf_map.h"
#include "runtime/keys/clock_writer.h"
#include "server/daemon/maps/policy_trie.h"

namespace trap::server {
namespace {

bool same_rate(const trap_rate& a, const trap_rate& b) {
  return a.token_ns == b.token_ns && a.burst_ns == b.burst_ns && a.chunk == b.chunk;
}

bool same_service(const trap_service& a, const trap_service& b) {
  return a.flags == b.flags && a.pool == b.pool && a.mss == b.mss && a.window == b.window &&
         a.window_scale == b.window_scale && same_rate(a.syn_acks, b.syn_acks);
}

Result<void> write_place(int fd, const PlaceWrite& write, __u8 state) {
  trap_place value = write.value;
  value.state = state;
  return map_write(fd, "service_table", write.place, value);
}

} // namespace

Result<PreparedChange> ServerMaps::prepare(const ServerPlan& plan,
                                           const MapContents& contents) const {
  auto places = change_places(places_, placed_services(plan.slots()));
  if (!places)
    return places.error();
  auto tries = make_tries(contents);
  if (!tries)
    return tries.error();
  return PreparedChange{std::move(*places), std::move(*tries)};
}

Result<std::map<std::uint32_t, Fd>> ServerMaps::make_tries(const MapContents& contents) const {
  std::map<std::uint32_t, Fd> tries;
  for (const auto& [slot, policies] : contents.policies) {
    auto written = policies_.find(slot);
    if (written != policies_.end() && written->second.same_as(policies))
      continue;
    auto trie = make_policy_trie(policies);
    if (!trie)
      return trie.error();
    tries.emplace(slot, std::move(*trie));
  }
  return tries;
}

Result<void> ServerMaps::rotate_guard_keys(const ServerPlan& plan, const Secret& master,
                                           std::uint64_t epoch) {
  for (const auto& [name, index] : plan.guards) {
    auto guard = map_read<trap_server_guard>(fds_.guards, index).value_or(trap_server_guard{});
    Secret secret = derive_guard_secret(master, name);
    auto derive = [&](std::uint64_t wanted) { return derive_ticket_key(secret, wanted); };
    // The kernel copies the whole value over the old one; slots in use are copied onto themselves.
    forget_foreign_keys(guard.ticket_keys, derive);
    rotate_keyring(guard.ticket_keys, epoch, derive);
    if (auto written = map_write(fds_.guards, "guards", index, guard); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::write_pools(const MapContents& contents, bool empty_ones) {
  trap_selection selection;
  for (const auto& [index, candidates] : contents.pools) {
    auto known = pools_.find(index);
    if (candidates.empty() != empty_ones || (known != pools_.end() && known->second == candidates))
      continue;
    fill_selection(selection, selector_key_, candidates);
    if (auto written = map_write(fds_.selections, "selections", index, selection); !written)
      return written.error();
    pools_[index] = candidates;
  }
  return {};
}

Result<void> ServerMaps::write_policies(const MapContents& contents,
                                        const std::map<std::uint32_t, Fd>& tries) {
  for (const auto& [slot, trie] : tries) {
    const int fd = trie.get();
    if (auto written = map_write(fds_.policies, "policies", slot, fd); !written)
      return written.error();
    policies_[slot] = contents.policies.at(slot);
  }
  return {};
}

Result<void> ServerMaps::write_services(const MapContents& contents) {
  for (const auto& [slot, value] : contents.services) {
    auto known = services_.find(slot);
    if (known != services_.end() && same_service(known->second, value))
      continue;
    if (auto written = map_write(fds_.services, "services", slot, value); !written)
      return written.error();
    services_[slot] = value;
  }
  return {};
}

// A pool that becomes empty is emptied after its service stopped to offer it.
Result<void> ServerMaps::write_contents(const MapContents& contents,
                                        const std::map<std::uint32_t, Fd>& tries) {
  if (auto written = write_pools(contents, false); !written)
    return written.error();
  if (auto written = write_policies(contents, tries); !written)
    return written.error();
  if (auto written = write_services(contents); !written)
    return written.error();
  return write_pools(contents, true);
}

Result<void> ServerMaps::refresh(const MapContents& contents) {
  auto tries = make_tries(contents);
  if (!tries)
    return tries.error();
  return write_contents(contents, *tries);
}

Result<void> ServerMaps::write_places(const PlaceChanges& changes) {
  for (const PlaceWrite& write : changes.added) {
    for (const __u8 state : {TRAP_PLACE_LEFT, TRAP_PLACE_TAKEN}) {
      if (auto written = write_place(fds_.places, write, state); !written)
        return written.error();
    }
    places_[write.place] = write.value;
  }
  for (const PlaceWrite& write : changes.removed) {
    if (auto written = write_place(fds_.places, write, write.value.state); !written)
      return written.error();
    places_[write.place] = write.value;
  }
  return {};
}

Result<void> ServerMaps::apply(const ServerPlan& plan, const MapContents& contents,
                               const PreparedChange& change, const EarlierMaps& earlier,
                               const Secret& master, std::uint64_t epoch) {
  const trap_key selector_key = derive_selector_key(master);
  if (!trap_key_equal(&selector_key, &selector_key_))
    pools_.clear(); // every table is another one
  selector_key_ = selector_key;
  if (auto rotated = rotate_guard_keys(plan, master, epoch); !rotated)
    return rotated.error();
  for (const auto& [index, backend] : plan.backends) {
    if (auto written = map_write(fds_.backends, "backends", index, backend.value); !written)
      return written.error();
  }
  clear_new_slots(plan, earlier);
  if (auto written = write_contents(contents, change.tries); !written)
    return written.error();
  if (auto written = write_places(change.places); !written)
    return written.error();
  return remove_stale(plan, contents);
}

} // namespace trap::server
