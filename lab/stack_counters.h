// SPDX-License-Identifier: Apache-2.0
// What a lab host's network stack has counted: /proc/net/snmp, netstat and snmp6, as "Tcp.InSegs", "Ip6.InReceives".
#ifndef TRAP_LAB_STACK_COUNTERS_H
#define TRAP_LAB_STACK_COUNTERS_H

#include "lab/daemons.h"
#include "lab/host.h"
#include "runtime/result.h"

namespace trap::lab {

Result<Counters> stack_counters(const Host& host);

} // namespace trap::lab

#endif
