// SPDX-License-Identifier: Apache-2.0
// Rates of the configuration as the token buckets of dataplane/token_bucket.h want them.
#ifndef TRAP_SERVER_DAEMON_TOKEN_RATE_H
#define TRAP_SERVER_DAEMON_TOKEN_RATE_H

#include <cstdint>

#include "dataplane/token_bucket.h"

namespace trap::server {

// A token costs whole nanoseconds: above this, a rate would be off by more than a twentieth.
constexpr std::int64_t kRateMax = 100000000;

// The budget of a client or network: what it does not use is saved for ten seconds. 0: no limit.
trap_rate budget_rate(std::uint64_t per_s);

// The cap of a server or service, shared by all CPUs. A tenth of a second is saved, which is more than the coarse clock's tick.
trap_rate cap_rate(std::uint64_t per_s);

} // namespace trap::server

#endif
