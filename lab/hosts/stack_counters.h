// SPDX-License-Identifier: Apache-2.0
// What a lab host's network stack has counted: /proc/net/snmp, netstat and snmp6, as "Tcp.InSegs",
// "Ip6.InReceives".
#pragma once

#include "lab/deployment/daemons.h"
#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

Result<Counters> stack_counters(const Host& host);

} // namespace trap::lab
