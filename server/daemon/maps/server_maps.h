// SPDX-License-Identifier: Apache-2.0
// Brings trap-server's maps from what they hold to what a plan and the moment say, in an order that
// leads no packet astray: what is led to is written before what leads there, and goes after it.
#pragma once

#include <set>

#include "runtime/fd.h"
#include "runtime/keys/key_derivation.h"
#include "server/daemon/plan/map_contents.h"
#include "server/daemon/plan/server_plan.h"
#include "server/daemon/plan/service_table.h"

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

// What can fail of a change, done before the first packet sees any of it.
struct PreparedChange {
  PlaceChanges places;
  std::map<std::uint32_t, Fd> tries; // by slot: of those whose policies changed
};

class ServerMaps {
public:
  explicit ServerMaps(const MapFds& fds) : fds_(fds) {}

  const MapFds& fds() const { return fds_; }

  // What an earlier run left. A guard is recognised among `names` by its key of `epoch`. Pools are
  // known by their service only: those that policies lead to count as taken, so that new ones go
  // elsewhere.
  EarlierMaps read(const std::set<std::string>& names, const Secret& master, std::uint64_t epoch);

  Result<PreparedChange> prepare(const ServerPlan& plan, const MapContents& contents) const;

  // From `earlier` to `plan`.
  Result<void> apply(const ServerPlan& plan, const MapContents& contents,
                     const PreparedChange& change, const EarlierMaps& earlier, const Secret& master,
                     std::uint64_t epoch);

  // The same plan, other contents: writes what differs.
  Result<void> refresh(const MapContents& contents);

  // Keys of the epochs around `epoch` for every guard of the plan.
  Result<void> rotate_guard_keys(const ServerPlan& plan, const Secret& master, std::uint64_t epoch);

private:
  Result<std::map<std::uint32_t, Fd>> make_tries(const MapContents& contents) const;
  Result<void> write_pools(const MapContents& contents, bool empty_ones);
  Result<void> write_policies(const MapContents& contents,
                              const std::map<std::uint32_t, Fd>& tries);
  Result<void> write_services(const MapContents& contents);
  Result<void> write_contents(const MapContents& contents,
                              const std::map<std::uint32_t, Fd>& tries);
  Result<void> write_places(const PlaceChanges& changes);
  void clear_new_slots(const ServerPlan& plan, const EarlierMaps& earlier);
  Result<void> remove_stale(const ServerPlan& plan, const MapContents& contents);

  MapFds fds_;
  PlaceTable places_ = PlaceTable(TRAP_PLACES);
  trap_key selector_key_ = {};
  // What was written last.
  std::map<std::uint32_t, std::vector<Candidate>> pools_;
  std::map<std::uint32_t, trap_service> services_;
  std::map<std::uint32_t, ServicePolicies> policies_;
};

} // namespace trap::server
