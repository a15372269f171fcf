// SPDX-License-Identifier: Apache-2.0
// Scenarios and their registration. A scenario is one file below lab/scenarios/ROOM/: a body and a
// Registration at namespace scope. trap-lab lists and runs it and CTest has it as lab.NAME, without
// any other list.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "lab/deployment/configuration.h"
#include "lab/scenarios/scene.h"

namespace trap::lab {

// Which scenarios may run beside each other.
enum class RunClass {
  calm,     // several at a time
  busy,     // floods, or counts on a CPU: one at a time
  emulated, // needs interfaces that not every kernel has: kernels.lab-6.1 runs it
  slow,     // calm, but with much to compute: make test-slow runs it
  matrix,   // takes minutes: make test-matrix runs it
};

std::string_view name_of(RunClass run_class);

struct Scenario {
  std::string_view name; // in lower case and digits, with hyphens
  std::string_view goal; // one line
  DeploymentPlan plan{};
  RunClass run_class = RunClass::calm;
  std::function<void(Scene&)> play;
};

// A registered scenario and where it is: `room` is its folder.
struct Registered {
  Scenario scenario;
  std::string_view room, file;
  unsigned line;
};

class Registration {
public:
  // FILE and LINE are the caller's. clang 14, Debian 12's, has no <source_location> for it.
  explicit Registration(Scenario scenario, const char* file = __builtin_FILE(),
                        unsigned line = __builtin_LINE());
};

// Every scenario: rooms in the order of the chapters, within a room by file and line.
const std::vector<Registered>& scenarios();

} // namespace trap::lab
