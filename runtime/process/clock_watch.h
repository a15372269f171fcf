// SPDX-License-Identifier: Apache-2.0
// Steps of the host's wall clock, seen against the clock that nobody sets and that goes on through
// suspend. Other hosts refuse what a host with a wrong clock signs, and it is the first to know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace trap {

struct ClockReading {
  std::int64_t unix_ns = 0;
  std::int64_t boottime_ns = 0;
  std::int64_t monotonic_ns = 0; // stands still in suspend
  bool synchronised = false;     // the kernel says that a time daemon keeps the wall clock
};

ClockReading read_host_clocks();

class ClockWatch {
public:
  struct Seen {
    std::int64_t step_s = 0;  // of the wall clock; 0: none
    std::int64_t slept_s = 0; // in suspend; 0: not
  };

  // Once a second: what happened since the last call.
  Seen observe(const ClockReading& now);

  // The same, with a line of the log for each.
  void watch(const ClockReading& now);

  // While the clock is far from where it was when it was last synchronised, or at the start: one
  // line; else "".
  std::string problem() const;

private:
  std::optional<std::int64_t> trusted_ns_; // the wall clock's lead over boottime
  std::int64_t last_ns_ = 0, last_asleep_ns_ = 0;
};

} // namespace trap
