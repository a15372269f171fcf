// SPDX-License-Identifier: Apache-2.0
// Takes over the maps of an earlier trap-client that had another layout.
#pragma once

#include "client/daemon/running/running_client.h"

namespace trap::client {

TakeoverPlan takeover_plan();

// For --check-config.
Result<void> check_takeover(const ClientConfig& config);

// Once the program is loaded: has it look up the packets of connections that were redirected by a
// version without the map `remotes`.
Result<void> note_remotes(RunningClient& client);

} // namespace trap::client
