// SPDX-License-Identifier: Apache-2.0
// Whether a run of the closed loop may be used: who answers less, or something else, than what it
// is measured for has no figures.
#pragma once

#include <string>

#include "bench/comparison/responders.h"

namespace trap::bench {

// The answers that count for this flood; none if silence is right.
std::uint64_t answers_of(const LoopRun& run, const Responder& responder, FloodKind kind);

// "" if the run is what it should be, else one line.
std::string fault_of(const LoopRun& run, const Responder& responder, FloodKind kind);

} // namespace trap::bench
