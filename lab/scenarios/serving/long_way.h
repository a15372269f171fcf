// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lab/scenarios/scenario.h"

namespace trap::lab {

// Checks that the stack of the TRAP host measures the same round trip of clients that are far away
// at both ports. `served_port` belongs to a service that serves; no service may have `plain_port`.
// Nothing may listen at either.
void expect_same_round_trips(Scene& scene, int served_port, int plain_port);

} // namespace trap::lab
