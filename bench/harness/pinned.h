// SPDX-License-Identifier: Apache-2.0
// Keeps the calling thread, and what it starts, to one CPU for as long as it lives.
#pragma once

#include <sched.h>

namespace trap::bench {

int last_cpu();

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
