// SPDX-License-Identifier: Apache-2.0
// Steps that take back what a failed start has done so far: run in reverse order unless the start
// succeeds.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace trap {

class Undo {
public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    for (; !steps_.empty(); steps_.pop_back())
      steps_.back()();
  }

  void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
  void keep_everything() { steps_.clear(); }

private:
  std::vector<std::function<void()>> steps_;
};

} // namespace trap
