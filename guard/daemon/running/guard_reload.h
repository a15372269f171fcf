// SPDX-License-Identifier: Apache-2.0
// trap-guard's steps of a reload. Entries that stay are never taken away meanwhile.
#pragma once

#include "guard/daemon/running/running_guard.h"
#include "runtime/process/reload.h"

namespace trap::guard {

class GuardReload final : public ReloadSteps<ActiveConfiguration> {
public:
  // `guard` outlives this.
  explicit GuardReload(RunningGuard& guard) : guard_(guard) {}

  const Keys<GuardConfig>& keys() const override { return guard_keys(); }
  Result<std::unique_ptr<ActiveConfiguration>> read(const ActiveConfiguration& now) override;
  Result<void> plan(const ActiveConfiguration& now, ActiveConfiguration& next) override;
  Result<void> apply(const ActiveConfiguration& now, const ActiveConfiguration& next) override;
  void settle(const ActiveConfiguration& before, const ActiveConfiguration& now,
              Changes& changes) override;

private:
  RunningGuard& guard_;
};

} // namespace trap::guard
