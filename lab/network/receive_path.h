// SPDX-License-Identifier: Apache-2.0
// The CPU on which an interface of the lab receives.
#pragma once

#include <optional>
#include <string>

#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

// Gives the interface, a veth, a thread of its own for what it receives (threaded NAPI), and keeps
// that thread to one CPU, for as long as the interface exists. As a card with interrupt moderation
// does, it wakes the thread every 25 us at most. Once for each interface. An error if the kernel
// cannot.
// `nice` as setpriority(2) has it; without one, the thread goes before all processes of its CPU, as
// a card's interrupt does: a process that keeps the CPU for 3 ms costs a veth's ring of 256 frames,
// at a million a second, most of what arrives.
Result<void> receive_on_cpu(const Host& host, const std::string& interface, int cpu,
                            std::optional<int> nice);

} // namespace trap::lab
