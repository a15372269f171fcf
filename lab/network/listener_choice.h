// SPDX-License-Identifier: Apache-2.0
// Programs by which a host chooses the listener of a client. Each lives as long as the listeners,
// or the descriptor that is returned.
#pragma once

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

// The ways to choose one of the listeners that share an address and port (SO_REUSEPORT).
enum class Chooser { none, classic_filter, filter, program };

// `listener`: any of them. `index`: of the chosen one, in the order in which they listened.
Result<void> choose_listener(const Fd& listener, Chooser chooser, int index, const Fd& chosen);

// Clients of the host who ask for `port` get this listener, which may have another address and
// port (sk_lookup).
Result<Fd> lead_to_listener(const Host& host, int family, int port, const Fd& listener);

} // namespace trap::lab
