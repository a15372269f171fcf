// SPDX-License-Identifier: Apache-2.0
// CPUs of the calling thread and of the processes that it starts. The last CPU is the measured one
// where only one is measured.
#pragma once

#include <optional>
#include <utility>

#include <sched.h>

#include "runtime/result.h"

namespace trap::bench {

int last_cpu();

// Keeps the thread to one CPU from now on. False, with errno, if that fails.
bool keep_to_cpu(int cpu);

// A thread that keeps to one CPU for as long as this lives, and then to those it had before.
class Pinned {
public:
  // The calling thread, which must also be the one that destroys the result.
  static Result<Pinned> to(int cpu);
  Pinned(Pinned&& other) noexcept : before_(std::exchange(other.before_, std::nullopt)) {}
  Pinned& operator=(Pinned&&) = delete;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned();

private:
  explicit Pinned(const cpu_set_t& before) : before_(before) {}
  std::optional<cpu_set_t> before_; // empty once it was moved from
};

} // namespace trap::bench
