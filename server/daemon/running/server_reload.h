// SPDX-License-Identifier: Apache-2.0
// trap-server's steps of a reload.
#pragma once

#include "runtime/process/reload.h"
#include "server/daemon/running/running_server.h"

namespace trap::server {

class ServerReload final : public ReloadSteps<ActiveConfiguration> {
public:
  // `server` outlives this.
  explicit ServerReload(RunningServer& server) : server_(server) {}

  const Keys<ServerConfig>& keys() const override { return server_keys(); }
  Result<std::unique_ptr<ActiveConfiguration>> read(const ActiveConfiguration& now) override;
  Result<void> plan(const ActiveConfiguration& now, ActiveConfiguration& next) override;
  Result<void> apply(const ActiveConfiguration& now, const ActiveConfiguration& next) override;

  // Once a second: services whose addresses are those of this host follow what comes and goes.
  void follow_addresses();

  void settle(const ActiveConfiguration& before, const ActiveConfiguration& now,
              Changes& changes) override;

private:
  RunningServer& server_;
};

} // namespace trap::server
