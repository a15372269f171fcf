// SPDX-License-Identifier: Apache-2.0
// Watches a trap-guard while its program works: clock and keys, the trial of enforcing, counts
// of flows, attachments.
#pragma once

#include <cstdint>

#include "guard/daemon/running/running_guard.h"

namespace trap::guard {

class GuardWatch {
public:
  // `guard` outlives this.
  explicit GuardWatch(RunningGuard& guard) : guard_(guard) {}

  // Once a second.
  void tick();

  // Corrects the clients' counts of open flows; tick() does so every ten seconds.
  void keep_flows_of_sockets(std::uint64_t monotonic_ns);
  void look_for_refused_announcements(std::uint64_t monotonic_ns);
  void correct_counts(std::uint64_t monotonic_ns);

private:
  void watch_mode(std::uint64_t monotonic_ns);

  RunningGuard& guard_;
  std::uint64_t next_correction_ns_ = 0;
};

} // namespace trap::guard
