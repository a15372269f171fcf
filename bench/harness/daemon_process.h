// SPDX-License-Identifier: Apache-2.0
// The process of a daemon that a host of the lab runs.
#pragma once

#include <sys/types.h>

#include "lab/hosts/host.h"

namespace trap::bench {

// The trap-server that runs on the host; throws std::runtime_error if there is none.
pid_t daemon_in(const lab::Host& host);

} // namespace trap::bench
