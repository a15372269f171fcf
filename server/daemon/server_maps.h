// SPDX-License-Identifier: Apache-2.0
// Brings trap-server's maps from what an earlier run left to what a plan says, in an order that leads no packet astray.
#ifndef TRAP_SERVER_DAEMON_SERVER_MAPS_H
#define TRAP_SERVER_DAEMON_SERVER_MAPS_H

#include <functional>

#include "runtime/key_derivation.h"
#include "server/daemon/server_plan.h"

namespace trap::server {

struct MapFds {
  int services = -1;
  int selections = -1;
  int backends = -1;
  int guards = -1;
  int counters = -1;
};

class ServerMaps {
public:
  ServerMaps(const MapFds& fds, const Secret& master);

  // What is in the maps. A guard is recognised among `names` by its key of `epoch`.
  EarlierMaps read(const std::vector<std::string>& names, std::uint64_t epoch) const;

  // Guards, backends, selections, services, and only then away with what is no longer configured.
  Result<void> write(const ServerPlan& plan, const EarlierMaps& earlier, std::uint64_t epoch);

  const MapFds& fds() const { return fds_; }

  // Keys of the epochs around `epoch` for every guard of the plan.
  Result<void> rotate_guard_keys(const ServerPlan& plan, std::uint64_t epoch);

private:
  Result<void> write_services(const ServerPlan& plan, const EarlierMaps& earlier);
  Result<void> remove_stale(const ServerPlan& plan);

  MapFds fds_;
  Secret master_;
};

} // namespace trap::server

#endif
