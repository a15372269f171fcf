// SPDX-License-Identifier: Apache-2.0
// Takes over the maps of an earlier trap-server that had another layout: services keep their slots,
// and with them their counters.
#pragma once

#include "server/daemon/running/running_server.h"

namespace trap::server {

TakeoverPlan takeover_plan();

// For --check-config.
Result<void> check_takeover(const ServerConfig& config);

// Once the program is loaded, and before a packet sees it: lays out the services of an earlier
// layout, so that this run finds them.
Result<void> carry_services(RunningServer& server);

// The same for the budgets of clients, which lay in a hash map.
Result<void> carry_budgets(RunningServer& server);

} // namespace trap::server
