// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/maps/server_maps.h"

#include <algorithm>

#include <bpf/libbpf.h>

#include "runtime/kernel/counters.h"
#include "runtime/keys/clock_writer.h"
#include "server/daemon/maps/policy_trie.h"

namespace trap::server {
namespace {

bool same_rate(const trap_rate& a, const trap_rate& b) {
  return a.token_ns == b.token_ns && a.burst_ns == b.burst_ns && a.chunk == b.chunk;
}

bool same_service(const trap_service& a, const trap_service& b) {
  return a.flags == b.flags && a.pool == b.pool && a.mss == b.mss && a.window == b.window &&
         a.window_scale == b.window_scale && a.plain_window == b.plain_window &&
         a.hop_limit == b.hop_limit && a.traffic_class == b.traffic_class &&
         a.peace_token_ns == b.peace_token_ns && same_rate(a.syn_acks, b.syn_acks);
}

// Of a pool without usable backends, so that the next run of the daemon knows that policies may
// lead to it. No program reads it.
constexpr __u16 empty_but_in_use = 0xffff;

bool is_in_use(const trap_selection& selection) {
  return selection.backend_count != 0 || selection.backends[0] == empty_but_in_use;
}

} // namespace

// Guards in use: under their names those of `names`, and the others under names that no
// configuration can give.
std::map<std::string, std::uint32_t> ServerMaps::find_guards(const std::set<std::string>& names,
                                                             const Secret& master,
                                                             std::uint64_t epoch) {
  std::map<std::string, trap_key> keys;
  for (const std::string& name : names)
    keys[name] = derive_ticket_key(derive_guard_secret(master, name), epoch);
  std::map<std::string, std::uint32_t> guards;
  for (__u32 index = 0; index < TRAP_SERVER_MAX_GUARDS; index++) {
    auto guard = store_->read<trap_server_guard>(fds_.guards, index);
    if (!guard || epochs_held(guard->ticket_keys).empty())
      continue;
    trap_key found;
    const bool has_key = trap_keyring_find(&guard->ticket_keys, epoch, &found);
    auto at = std::find_if(keys.begin(), keys.end(), [&](const auto& key) {
      return has_key && trap_key_equal(&key.second, &found);
    });
    guards[at != keys.end() ? at->first : "#" + std::to_string(index)] = index;
  }
  return guards;
}

// Pools in use: the default pool of each service by its slot; the others, which have lost their
// names, under names that no configuration can give.
std::map<PoolKey, std::uint32_t> ServerMaps::find_pools(const EarlierMaps& earlier) {
  std::map<PoolKey, std::uint32_t> pools;
  std::set<std::uint32_t> known;
  for (const auto& [address, slot] : earlier.slots) {
    const std::uint32_t index = earlier.services.at(address).pool;
    pools[{slot, ""}] = index;
    known.insert(index);
  }
  for (__u32 index = 0; index < TRAP_SERVER_MAX_POOLS; index++) {
    auto selection = store_->read<trap_selection>(fds_.selections, index);
    if (selection && is_in_use(*selection) && !known.contains(index))
      pools[{0, "#" + std::to_string(index)}] = index;
  }
  return pools;
}

EarlierMaps ServerMaps::read(const std::set<std::string>& names, const Secret& master,
                             std::uint64_t epoch) {
  EarlierMaps earlier;
  store_->visit<__u32, trap_place>(
      fds_.places, [this](const __u32& at, const trap_place& place) { places_[at] = place; });
  earlier.slots = services_in(places_);
  for (const auto& [address, slot] : earlier.slots)
    earlier.services[address] =
        store_->read<trap_service>(fds_.services, slot).value_or(trap_service{});
  for (__u32 index = 0; index < TRAP_SERVER_MAX_BACKENDS; index++) {
    auto backend = store_->read<trap_backend>(fds_.backends, index);
    if (backend && backend->port != 0)
      earlier.backends[backend_key(*backend)] = index;
  }
  earlier.guards = find_guards(names, master, epoch);
  earlier.pools = find_pools(earlier);
  return earlier;
}

std::optional<trap_keyring> ServerMaps::keys_of_guard(std::uint32_t index) const {
  const auto guard = store_->read<trap_server_guard>(fds_.guards, index);
  return guard ? std::optional(guard->ticket_keys) : std::nullopt;
}

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
    auto trie = make_policy_trie(policies, *store_);
    if (!trie)
      return trie.error();
    tries.emplace(slot, std::move(*trie));
  }
  return tries;
}

Result<void> ServerMaps::rotate_guard_keys(const ServerPlan& plan, const Secret& master,
                                           std::uint64_t epoch) {
  for (const auto& [name, index] : plan.guards) {
    auto guard = store_->read<trap_server_guard>(fds_.guards, index).value_or(trap_server_guard{});
    Secret secret = derive_guard_secret(master, name);
    auto derive = [&](std::uint64_t wanted) { return derive_ticket_key(secret, wanted); };
    // The kernel copies the whole value over the old one; slots in use are copied onto themselves.
    forget_foreign_keys(guard.ticket_keys, derive);
    rotate_keyring(guard.ticket_keys, epoch, derive);
    if (auto written = store_->write(fds_.guards, "guards", index, guard); !written)
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
    if (candidates.empty())
      selection.backends[0] = empty_but_in_use;
    if (auto written = store_->write(fds_.selections, "selections", index, selection); !written)
      return written.error();
    pools_[index] = candidates;
  }
  return {};
}

Result<void> ServerMaps::write_policies(const MapContents& contents,
                                        const std::map<std::uint32_t, Fd>& tries) {
  for (const auto& [slot, trie] : tries) {
    const int fd = trie.get();
    if (auto written = store_->write(fds_.policies, "policies", slot, fd); !written)
      return written.error();
    policies_[slot] = contents.policies.at(slot);
  }
  return {};
}

Result<void> ServerMaps::write_service(std::uint32_t slot, const trap_service& value) {
  auto known = services_.find(slot);
  if (known != services_.end() && same_service(known->second, value))
    return {};
  if (auto written = store_->write(fds_.services, "services", slot, value); !written)
    return written.error();
  services_[slot] = value;
  return {};
}

// A policy may have clients served only where the service serves. A service that begins to serve,
// and has policies before and after, is therefore written before its policies.
Result<void> ServerMaps::begin_to_serve(const MapContents& contents) {
  for (const auto& [slot, value] : contents.services) {
    auto before = store_->read<trap_service>(fds_.services, slot);
    const bool policed = before && before->flags & value.flags & TRAP_SERVICE_POLICED;
    if (!policed || before->flags & TRAP_SERVICE_SERVES || !(value.flags & TRAP_SERVICE_SERVES))
      continue;
    if (auto written = write_service(slot, value); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::write_services(const MapContents& contents) {
  for (const auto& [slot, value] : contents.services) {
    if (auto written = write_service(slot, value); !written)
      return written.error();
  }
  return {};
}

// A pool that becomes empty is emptied after its service and its policies stopped to lead there.
Result<void> ServerMaps::write_contents(const MapContents& contents,
                                        const std::map<std::uint32_t, Fd>& tries) {
  if (auto written = write_pools(contents, false); !written)
    return written.error();
  if (auto written = begin_to_serve(contents); !written)
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

Result<void> ServerMaps::write_place(const PlaceWrite& write, __u8 state) {
  trap_place value = write.value;
  value.state = state;
  return store_->write(fds_.places, "service_table", write.place, value);
}

// The kernel copies a value word by word, so a new key is whole before its state says that it is
// there. A key that only gets another slot stays there.
Result<void> ServerMaps::write_places(const PlaceChanges& changes) {
  for (const PlaceWrite& write : changes.added) {
    if (places_[write.place].state != TRAP_PLACE_TAKEN) {
      if (auto written = write_place(write, TRAP_PLACE_LEFT); !written)
        return written.error();
    }
    if (auto written = write_place(write, TRAP_PLACE_TAKEN); !written)
      return written.error();
    places_[write.place] = write.value;
  }
  for (const PlaceWrite& write : changes.removed) {
    if (auto written = write_place(write, write.value.state); !written)
      return written.error();
    places_[write.place] = write.value;
  }
  return {};
}

// A slot may have been another's: counters and cap start again.
void ServerMaps::clear_new_slots(const ServerPlan& plan, const EarlierMaps& earlier) {
  const std::vector<__u64> nothing(
      static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus())));
  const trap_cap full = {};
  for (const PlannedService& planned : plan.services) {
    if (earlier.slots.contains(planned.address))
      continue;
    const __u32 cap = TRAP_CAP_SERVICE + planned.slot;
    clear_counters(*store_, fds_.counters, planned.slot);
    store_->update(fds_.caps, &cap, &full, BPF_ANY);
    store_->update(fds_.allowances, &cap, nothing.data(), BPF_ANY);
  }
}

Result<void> ServerMaps::clear_stale_pools(const MapContents& contents) {
  const trap_selection empty = {};
  for (__u32 index = 0; index < TRAP_SERVER_MAX_POOLS; index++) {
    auto selection = store_->read<trap_selection>(fds_.selections, index);
    if (!selection || !is_in_use(*selection) || contents.pools.contains(index))
      continue;
    if (auto written = store_->write(fds_.selections, "selections", index, empty); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::clear_stale_backends(const ServerPlan& plan) {
  for (__u32 index = 0; index < TRAP_SERVER_MAX_BACKENDS; index++) {
    auto backend = store_->read<trap_backend>(fds_.backends, index);
    if (!backend || backend->port == 0 || plan.backends.contains(index))
      continue;
    if (auto written = store_->write(fds_.backends, "backends", index, trap_backend{}); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::clear_stale_guards(const ServerPlan& plan) {
  std::set<std::uint32_t> wanted;
  for (const auto& [name, index] : plan.guards)
    wanted.insert(index);
  for (__u32 index = 0; index < TRAP_SERVER_MAX_GUARDS; index++) {
    if (wanted.contains(index))
      continue;
    if (auto written = store_->write(fds_.guards, "guards", index, trap_server_guard{}); !written)
      return written.error();
  }
  return {};
}

Result<void> ServerMaps::remove_stale(const ServerPlan& plan, const MapContents& contents) {
  for (__u32 slot = 0; slot < TRAP_SERVER_MAX_SERVICES; slot++) {
    __u32 trie_id;
    if (!contents.policies.contains(slot) && store_->look_up(fds_.policies, &slot, &trie_id) == 0)
      store_->erase(fds_.policies, &slot);
    if (contents.services.contains(slot))
      continue;
    if (auto written = store_->write(fds_.services, "services", slot, trap_service{}); !written)
      return written.error();
  }
  std::erase_if(policies_,
                [&](const auto& entry) { return !contents.policies.contains(entry.first); });
  std::erase_if(services_,
                [&](const auto& entry) { return !contents.services.contains(entry.first); });
  std::erase_if(pools_, [&](const auto& entry) { return !contents.pools.contains(entry.first); });
  if (auto cleared = clear_stale_pools(contents); !cleared)
    return cleared.error();
  if (auto cleared = clear_stale_backends(plan); !cleared)
    return cleared.error();
  return clear_stale_guards(plan);
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
    if (auto written = store_->write(fds_.backends, "backends", index, backend.value); !written)
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
