// SPDX-License-Identifier: Apache-2.0
// Valid cookies and tickets for simulated clients, made with the keys that a host's program holds.
#pragma once

#include <vector>

#include "lab/bpf/flood.h"
#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::bench {

// TRAP_FLOOD_CREDENTIALS clients, each with the cookie of the present window for its ISN. The host
// runs trap-server with reset_service(). An error if its keys cannot be read.
Result<std::vector<trap_flood_credential>> cookies_of(const lab::Host& host, int family);

// The same with a ticket for port 80. The host runs trap-guard.
Result<std::vector<trap_flood_credential>> tickets_of(const lab::Host& host, int family);

} // namespace trap::bench
