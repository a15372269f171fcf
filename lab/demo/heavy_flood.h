// SPDX-License-Identifier: Apache-2.0
// The flood that the kernel's defences do not survive: it has a CPU of its own, and the victim has
// the other. Each defence in turn, and the sentence that follows from the figures.
#pragma once

#include <string>
#include <vector>

#include "lab/deployment/deployment.h"
#include "lab/hosts/terminal.h"
#include "lab/traffic/flood_trial.h"
#include "runtime/result.h"

namespace trap::lab {

// A defence and how it fared.
struct FloodRow {
  std::string name;  // for programs: "trap-serve"
  std::string title; // for people
  bool is_trap = false;
  std::string not_tried; // the reason; then there are no figures
  FloodTrial trial;

  // The reason why its figures prove nothing; empty if they count.
  [[nodiscard]] std::string doubt() const;
};

inline constexpr int heavy_flood_per_second = 1'000'000;

// Tries each defence. With one CPU there are no rows: a flood that shares the victim's CPU cannot
// outrun it. An error only if a trial could not be carried out, or after an interrupt.
Result<std::vector<FloodRow>> try_defences(Deployment& deployment, const Terminal& terminal);

// 123456 as "123,000", 1234567 as "1.2 million".
std::string rate_text(double per_second);

// A line for each defence.
std::string table_of(const std::vector<FloodRow>& rows);

// The sentence to take home. It says of TRAP and the others what the rows show, whichever is
// better.
std::string sentence_of(const std::vector<FloodRow>& rows);

} // namespace trap::lab
