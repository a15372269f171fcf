// SPDX-License-Identifier: Apache-2.0
// Brings trap-server's maps from their present contents to those of a plan and a moment. Referents
// are written before references, and removed after them, so that a packet meets the old or the new
// of its service at every step. Needs only descriptors of maps: daemon, tests and benchmarks share
// it.
#pragma once

#include <optional>
#include <set>

#include "runtime/fd.h"
#include "runtime/kernel/map_store.h"
#include "runtime/keys/key_derivation.h"
#include "server/daemon/plan/server_plan.h"
#include "server/daemon/plan/service_table.h"
#include "server/daemon/state/map_contents.h"

namespace trap::server {

struct MapFds {
  int places = -1;
  int services = -1;
  int selections = -1;
  int backends = -1;
  int guards = -1;
  int policies = -1;
  int clients = -1;
  int caps = -1;
  int allowances = -1;
  int counters = -1;
};

// The steps of a change that may fail, done before a packet sees any of it.
struct PreparedChange {
  PlaceChanges places;
  std::map<std::uint32_t, Fd> tries; // by slot: those of changed policies
};

class ServerMaps {
public:
  // Nothing if the map cannot be read.
  std::optional<trap_keyring> keys_of_guard(std::uint32_t index) const;

  explicit ServerMaps(const MapFds& fds, MapStore& store = kernel_maps())
      : fds_(fds), store_(&store) {}

  const MapFds& fds() const { return fds_; }

  // The contents that an earlier run left. A guard is recognised among `names` by its key of
  // `epoch`, the default pool of a service by the service. Other guards and pools have lost their
  // names and count as taken, so that new ones get other indexes.
  EarlierMaps read(const std::set<std::string>& names, const Secret& master, std::uint64_t epoch);

  Result<PreparedChange> prepare(const ServerPlan& plan, const MapContents& contents) const;

  // Writes the change from `earlier` to `plan`. After an error part of it is in the maps.
  Result<void> apply(const ServerPlan& plan, const MapContents& contents,
                     const PreparedChange& change, const EarlierMaps& earlier, const Secret& master,
                     std::uint64_t epoch);

  // Writes the differences of other contents of the same plan.
  Result<void> refresh(const MapContents& contents);

  // Writes the keys of the epochs around `epoch` for every guard of the plan.
  Result<void> rotate_guard_keys(const ServerPlan& plan, const Secret& master, std::uint64_t epoch);

private:
  Result<std::map<std::uint32_t, Fd>> make_tries(const MapContents& contents) const;
  Result<void> write_pools(const MapContents& contents, bool empty_ones);
  Result<void> write_policies(const MapContents& contents,
                              const std::map<std::uint32_t, Fd>& tries);
  Result<void> write_service(std::uint32_t slot, const trap_service& value);
  Result<void> begin_to_serve(const MapContents& contents);
  Result<void> write_services(const MapContents& contents);
  Result<void> write_contents(const MapContents& contents,
                              const std::map<std::uint32_t, Fd>& tries);
  Result<void> write_place(const PlaceWrite& write, __u8 state);
  Result<void> write_places(const PlaceChanges& changes);
  void clear_new_slots(const ServerPlan& plan, const EarlierMaps& earlier);
  Result<void> remove_stale(const ServerPlan& plan, const MapContents& contents);
  Result<void> clear_stale_pools(const MapContents& contents);
  Result<void> clear_stale_backends(const ServerPlan& plan);
  Result<void> clear_stale_guards(const ServerPlan& plan);
  std::map<std::string, std::uint32_t> find_guards(const std::set<std::string>& names,
                                                   const Secret& master, std::uint64_t epoch);
  std::map<PoolKey, std::uint32_t> find_pools(const EarlierMaps& earlier);

  MapFds fds_;
  MapStore* store_;
  PlaceTable places_ = PlaceTable(TRAP_PLACES);
  trap_key selector_key_ = {};
  // As they were written last.
  std::map<std::uint32_t, std::vector<Candidate>> pools_;
  std::map<std::uint32_t, trap_service> services_;
  std::map<std::uint32_t, ServicePolicies> policies_;
};

} // namespace trap::server
