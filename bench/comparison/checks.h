// SPDX-License-Identifier: Apache-2.0
// Checks of a run of the closed loop. A responder that answers less than it should, or with
// something else, has no figures.
#pragma once

#include <string>

#include "bench/comparison/responders.h"

namespace trap::bench {

// The answers that count for this flood; none if silence is right.
std::uint64_t answers_of(const LoopRun& run, const Responder& responder, FloodKind kind);

// "" if the run is right, else one line.
std::string fault_of(const LoopRun& run, const Responder& responder, FloodKind kind);

} // namespace trap::bench
