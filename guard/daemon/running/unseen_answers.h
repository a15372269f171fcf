// SPDX-License-Identifier: Apache-2.0
// Connections that opened, or were reset by their client, although the guard saw no SYN-ACK of
// theirs: it left by an interface where no program of the guard is, or another program takes it
// away before. Such clients get no CONSENT, so those that a redirect led here go back to be served.
#pragma once

#include <cstdint>
#include <deque>

#include "runtime/nanoseconds.h"

namespace trap::guard {

class UnseenAnswers {
public:
  // So many in ten minutes are no accident. A client that was led here in vain does not come again
  // soon, so there are never many.
  static constexpr std::uint64_t many = 3, window_ns = 600 * ns_per_s;

  // now_ns: CLOCK_MONOTONIC.
  void note(std::uint64_t now_ns, std::uint64_t connections) {
    while (!recent_.empty() && recent_.front().ns + window_ns <= now_ns)
      recent_.pop_front();
    if (connections != 0)
      recent_.push_back({now_ns, connections});
    total_ += connections;
  }

  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::uint64_t lately() const {
    std::uint64_t sum = 0;
    for (const Look& look : recent_)
      sum += look.count;
    return sum;
  }
  [[nodiscard]] bool are_many() const { return lately() >= many; }

private:
  struct Look {
    std::uint64_t ns, count;
  };
  std::deque<Look> recent_;
  std::uint64_t total_ = 0;
};

} // namespace trap::guard
