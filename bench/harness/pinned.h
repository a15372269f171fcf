// SPDX-License-Identifier: Apache-2.0
// CPUs of the calling thread and of the processes that it starts. The last CPU is the measured one
// where only one is measured.
#pragma once

#include <sched.h>

namespace trap::bench {

int last_cpu();

// Keeps the thread to one CPU from now on. False, with errno, if that fails.
bool keep_to_cpu(int cpu);

// Keeps the thread that makes it to one CPU for as long as it lives. Throws if that fails.
class Pinned {
public:
  explicit Pinned(int cpu);
  ~Pinned();
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

private:
  cpu_set_t before_{};
};

} // namespace trap::bench
