// SPDX-License-Identifier: Apache-2.0
// What clients have who were answered: cookies and tickets, made as the daemon of a host makes
// them, with the keys that its program has.
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
