// SPDX-License-Identifier: Apache-2.0
// trap-client's steps of a reload.
#pragma once

#include "client/daemon/running/interface_keeper.h"
#include "client/daemon/running/running_client.h"
#include "runtime/process/reload.h"

namespace trap::client {

class ClientReload final : public ReloadSteps<ActiveConfiguration> {
public:
  // Both outlive this.
  ClientReload(RunningClient& client, InterfaceKeeper& interfaces)
      : client_(client), interfaces_(interfaces) {}

  const Keys<ClientConfig>& keys() const override { return client_keys(); }
  Result<std::unique_ptr<ActiveConfiguration>> read(const ActiveConfiguration& now) override;
  Result<void> plan(const ActiveConfiguration& now, ActiveConfiguration& next) override;
  Result<void> apply(const ActiveConfiguration& now, const ActiveConfiguration& next) override;
  void settle(const ActiveConfiguration& before, const ActiveConfiguration& now,
              Changes& changes) override;
  std::string describe(const Changes& changes) override;

private:
  RunningClient& client_;
  InterfaceKeeper& interfaces_;
  std::size_t forgotten_ = 0; // redirects that the last reload forbade
};

} // namespace trap::client
