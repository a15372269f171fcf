// SPDX-License-Identifier: Apache-2.0
// A BPF skeleton from open to destroy. Program<trap_guard> is loaded on its own, upon the pinned
// maps of an earlier run, or as a twin that shares the maps of a running program and explains
// packets instead of counting them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/result.h"
#include "runtime/undo.h"

struct bpf_object;

namespace trap {

// The steps that are alike for all skeletons; `load` is the skeleton's load function.
Error cannot_open_program();
Error cannot_load_program(const std::string& name, int error_number);
Result<void> load_alone(const std::function<int()>& load);
enum class Sharing { all, all_but_scratch };
Result<void> load_sharing_maps(bpf_object* other, const bpf_object* live, Sharing sharing,
                               const std::function<int()>& load);

// `Skeleton` is a type that bpftool generated. Empty until one of the loaders made it.
template <class Skeleton> class Program {
public:
  // Sizes maps and sets constants of a skeleton that is open and not loaded. It may be empty.
  using Prepare = std::function<void(Skeleton&)>;

  Program() = default;

  // Loads the program with maps of its own.
  static Result<Program> load(const Prepare& prepare = {}) {
    Program program = open(prepare);
    if (!program)
      return cannot_open_program();
    if (auto loaded = load_alone([&] { return Skeleton::load(program.get()); }); !loaded)
      return loaded.error();
    return program;
  }

  // Open and not loaded: for runtime/takeover/, which loads it upon the maps of an earlier run.
  // Empty if it cannot be opened.
  static Program open(const Prepare& prepare) {
    Program program;
    program.skeleton_.reset(Skeleton::open());
    if (program && prepare)
      prepare(*program.skeleton_);
    return program;
  }

  // Loads the program once more, with its constant `explaining` set, upon the maps of `live`; only
  // the map `scratch`, which holds one packet of each CPU, is its own. `prepare` must set the same
  // constants as for the live program.
  static Result<Program> load_twin(const bpf_object* live, const Prepare& prepare) {
    Program program = open(prepare);
    if (!program)
      return cannot_open_program();
    program->rodata->explaining = 1;
    auto load = [&] { return Skeleton::load(program.get()); };
    if (auto loaded = load_sharing_maps(program.object(), live, Sharing::all_but_scratch, load);
        !loaded)
      return Error{"cannot explain: " + loaded.error().message};
    return program;
  }

  // Loads programs of the skeleton that `live` was loaded without, upon the maps of `live`.
  // `prepare` chooses them.
  static Result<Program> load_beside(const bpf_object* live, const Prepare& prepare) {
    Program program = open(prepare);
    if (!program)
      return cannot_open_program();
    auto load = [&] { return Skeleton::load(program.get()); };
    if (auto loaded = load_sharing_maps(program.object(), live, Sharing::all, load); !loaded)
      return loaded.error();
    return program;
  }

  explicit operator bool() const { return skeleton_ != nullptr; }
  Skeleton* get() const { return skeleton_.get(); }
  Skeleton* operator->() const { return skeleton_.get(); }
  bpf_object* object() const { return skeleton_->obj; }

private:
  struct Destroy {
    void operator()(Skeleton* skeleton) const { Skeleton::destroy(skeleton); }
  };

  std::unique_ptr<Skeleton, Destroy> skeleton_;
};

} // namespace trap
