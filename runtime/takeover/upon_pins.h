// SPDX-License-Identifier: Apache-2.0
// Loads a program upon what an earlier run of its daemon has pinned.
#pragma once

#include "runtime/kernel/program.h"
#include "runtime/takeover/memory.h"
#include "runtime/takeover/takeover.h"

namespace trap {

// The maps that an earlier run pinned in `pin_dir` are shared or carried, as `takeover` decides;
// once the program is in place, the caller finishes it. `undo` removes the pins of maps that are
// new. `name` is the daemon's ("trap-guard"), for messages.
template <class Skeleton>
Result<Program<Skeleton>> load_upon_pins(Takeover& takeover, const std::string& pin_dir,
                                         const std::string& name, const TakeoverPlan& plan,
                                         const typename Program<Skeleton>::Prepare& prepare,
                                         Undo& undo) {
  auto program = Program<Skeleton>::open(prepare);
  if (!program)
    return cannot_open_program();
  auto decided = Takeover::decide(program.object(), pin_dir, name, plan);
  if (!decided)
    return decided.error();
  if (int failed = Skeleton::load(program.get()))
    return cannot_load_program(name, failed);
  if (auto carried = decided->carry(undo); !carried)
    return carried.error();
  takeover = std::move(*decided);
  return program;
}

// For --check-config: an error if load_upon_pins() would refuse what is pinned, or the memory that
// the maps take. Loads nothing, and needs no privilege, but sees pins only with it.
template <class Skeleton>
Result<void> check_upon_pins(const std::string& pin_dir, const std::string& name,
                             const TakeoverPlan& plan,
                             const typename Program<Skeleton>::Prepare& prepare) {
  auto program = Program<Skeleton>::open(prepare);
  if (!program)
    return cannot_open_program();
  if (list_pins(pin_dir).empty())
    return check_memory(bytes_of_maps(program.object()), "the tables");
  const auto decided = Takeover::decide(program.object(), pin_dir, name, plan);
  return decided || decided.error().exit_code != ExitCode::usage ? Result<void>() : decided.error();
}

} // namespace trap
