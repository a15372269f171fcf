// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/pinned.h"

#include <cerrno>

#include <unistd.h>

#include <fmt/format.h>

namespace trap::bench {

int last_cpu() {
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
}

bool keep_to_cpu(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

Result<Pinned> Pinned::to(int cpu) {
  cpu_set_t before;
  if (sched_getaffinity(0, sizeof before, &before) != 0 || !keep_to_cpu(cpu))
    return Error{fmt::format("cannot keep to CPU {}: {}", cpu, error_text(errno))};
  return Pinned{before};
}

Pinned::~Pinned() {
  if (before_)
    sched_setaffinity(0, sizeof *before_, &*before_);
}

} // namespace trap::bench
