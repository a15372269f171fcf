// SPDX-License-Identifier: Apache-2.0
// Takes over the maps of an earlier trap-guard that had another layout or other sizes: flows and
// announcements go where this program looks for them.
#pragma once

#include "guard/daemon/running/running_guard.h"

namespace trap::guard {

TakeoverPlan takeover_plan();

// For --check-config.
Result<void> check_takeover(const GuardConfig& config);

// Once the program is loaded, and before a packet sees it: makes the secrets that place entries,
// and enters the flows and announcements of an earlier layout.
Result<void> carry_tables(RunningGuard& guard);

// Once the programs are swapped: enters what the old one has admitted meanwhile, and pins the maps.
Result<void> finish_takeover(RunningGuard& guard);

} // namespace trap::guard
