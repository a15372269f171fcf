// SPDX-License-Identifier: Apache-2.0
// The equality matrix: a part of it for every day, and all of it.
#include <cstdlib>
#include <sstream>
#include <string>

#include "lab/matrix/matrix.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

DeploymentPlan plan() {
  return {.backends = false, .server_keys = matrix_service()};
}

// TRAP_LAB_CELL of the environment: cells with these words, or those behind a "|", in "axis: name"
// alone.
bool is_asked_for(const Cell& cell) {
  const char* asked = std::getenv("TRAP_LAB_CELL");
  std::istringstream alternatives{asked == nullptr ? "" : asked};
  bool is_asked = asked == nullptr;
  for (std::string words; std::getline(alternatives, words, '|');)
    is_asked = is_asked || label_of(cell).find(words) != std::string::npos;
  return is_asked;
}

const Registration register_equality{{
    .name = "equality",
    .goal = "clients get the same while TRAP answers as from the stack: a part of the matrix",
    .plan = plan(),
    .play =
        [](Scene& scene) {
          try_cells(scene, [](const Cell& cell) { return cell.quick && is_asked_for(cell); });
        },
}};

const Registration register_equality_all{{
    .name = "equality-all",
    .goal = "clients get the same while TRAP answers as from the stack: the whole matrix",
    .plan = plan(),
    .run_class = RunClass::matrix,
    .play = [](Scene& scene) { try_cells(scene, is_asked_for); },
}};

// A number of the environment.
std::uint32_t number_of(const char* name, std::uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

const Registration register_odd_syns{{
    .name = "odd-syns",
    .goal = "SYNs that no stack may ever have sent are answered as by the host's stack",
    .plan = plan(),
    .run_class = RunClass::matrix,
    .play =
        [](Scene& scene) {
          try_odd_syns(scene, number_of("TRAP_LAB_FIRST", 1), number_of("TRAP_LAB_COUNT", 300));
        },
}};

const Registration register_odd_frames{{
    .name = "odd-frames",
    .goal = "SYNs in odd frames, packets and headers are answered as by the host's stack",
    .plan = plan(),
    .run_class = RunClass::matrix,
    .play = try_odd_frames,
}};

} // namespace
} // namespace trap::lab
