// SPDX-License-Identifier: Apache-2.0
// Watches a trap-guard while its program works: clock and keys, the trial of enforcing, the clocks
// of TRAP servers, counts of flows, attachments.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "guard/daemon/running/running_guard.h"

namespace trap::guard {

class GuardWatch {
public:
  // `guard` outlives this.
  explicit GuardWatch(RunningGuard& guard) : guard_(guard) {}

  // Once a second.
  void tick();

  // Corrects the clients' counts of open flows; tick() does so every ten seconds.
  void correct_counts(std::uint64_t monotonic_ns);

private:
  void watch_mode(std::uint64_t monotonic_ns);
  void watch_keys(std::uint64_t unix_ns);
  void watch_clocks();

  RunningGuard& guard_;
  bool keys_scarce_ = false;  // and the log says so
  std::set<std::string> off_; // TRAP servers whose clock the log says is far off
  std::uint64_t next_correction_ns_ = 0;
};

} // namespace trap::guard
