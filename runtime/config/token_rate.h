// SPDX-License-Identifier: Apache-2.0
// Rates of the configuration as the token buckets of dataplane/token_bucket.h want them.
#pragma once

#include <cstdint>

#include "dataplane/token_bucket.h"

namespace trap {

// A token costs whole nanoseconds: above this, a rate would be off by more than a twentieth.
constexpr std::int64_t rate_max = 100000000;

// The budget of a client or network: what it does not use is saved for ten seconds. 0: no limit.
trap_rate budget_rate(std::uint64_t per_s);

// The cap of a server or service, shared by all CPUs. A tenth of a second is saved, which is more
// than the coarse clock's tick.
trap_rate cap_rate(std::uint64_t per_s);

// The budget of packets of an admitted client, which its flows take from in chunks of about a
// millisecond. A second is saved. 0: no limit.
trap_rate packet_rate(std::uint64_t per_s);

// The same of bytes: a token is a KiB. A full bucket lets the longest frame through, whatever the
// rate. Below least_bytes_per_s that frame would be more than a second's worth. 0: no limit.
constexpr std::int64_t least_bytes_per_s = 65536;
constexpr std::int64_t most_bytes_per_s = rate_max * 1024;
trap_rate byte_rate(std::uint64_t bytes_per_s);

// Replaces a rate that programs read meanwhile: they find the old one, the new one, or for a moment
// no limit, and never a price without a burst that covers it.
void publish_rate(trap_rate& published, const trap_rate& rate);

} // namespace trap
