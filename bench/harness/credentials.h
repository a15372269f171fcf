// SPDX-License-Identifier: Apache-2.0
// Valid cookies and tickets for simulated clients, made as a host's daemon makes them, with the
// keys of its program.
#pragma once

#include <vector>

#include "bench/bpf/flood.h"
#include "lab/hosts/host.h"

namespace trap::bench {

// TRAP_FLOOD_PROOFS clients, each with the cookie of the present window for its ISN. The host runs
// trap-server with reset_service().
std::vector<trap_flood_proof> cookies_of(const lab::Host& host, int family);

// The same with a ticket for port 80. The host runs trap-guard.
std::vector<trap_flood_proof> tickets_of(const lab::Host& host, int family);

} // namespace trap::bench
