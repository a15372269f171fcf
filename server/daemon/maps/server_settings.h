// SPDX-License-Identifier: Apache-2.0
// Map `settings` of trap-server, written while packets are judged by it. Works on the mapped map
// and on a plain struct alike.
#pragma once

#include "server/daemon/plan/active_configuration.h"
#include "server/maps.h"

namespace trap::server {

// Keys of the epochs around that of `now`, budgets, caps, and last the clock. Writes only
// differences, so that a key in use stays where it is.
void publish_settings(trap_server_settings& settings, const ActiveConfiguration& active,
                      const trap_clock_anchor& now);

} // namespace trap::server
