// SPDX-License-Identifier: Apache-2.0
// Served clients beside clients of the same host's stack.
#pragma once

#include "lab/scenarios/scenario.h"

namespace trap::lab {

// Checks that clients and the stack of the TRAP host agree on the same at both ports, and that the
// stack measures the same round trip of clients that are far away. `served_port` belongs to a
// service that serves; no service may have `plain_port`. Nothing may listen at either.
void expect_equality(Scene& scene, int served_port, int plain_port);

} // namespace trap::lab
