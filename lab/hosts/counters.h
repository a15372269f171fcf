// SPDX-License-Identifier: Apache-2.0
// Named counts: packets by verdict, as a daemon tells them, and events in a host's network stack.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

using Counters = std::map<std::string, std::uint64_t, std::less<>>;

// A counter's value, 0 if it is not there.
std::uint64_t count_of(const Counters& counters, std::string_view name);

// Increases between two readings; counters that did not move are left out.
Counters difference(const Counters& before, const Counters& after);

// "verdict 3, other-verdict 1": for a check's reason.
std::string text_of(const Counters& counters);

// Counters of a host's stack: /proc/net/snmp, netstat and snmp6, as "Tcp.InSegs", "Ip6.InReceives".
Result<Counters> stack_counters(const Host& host);

} // namespace trap::lab
