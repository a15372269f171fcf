// SPDX-License-Identifier: Apache-2.0
// A part while it runs: the lock under which the main loop and the threads of control socket and
// metrics listener take turns, and what is told of every part alike: state, problems, reloads.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/control/metrics.h"
#include "runtime/process/fair_mutex.h"
#include "runtime/process/part.h"

namespace trap {

class RunningPart {
public:
  // `part` outlives this.
  explicit RunningPart(Part& part);

  Result<void> start();

  // For the main loop.
  int event_fd();
  void turn(bool events, bool tick);

  // For every thread. Before the start is through, status and metrics tell only that it is under
  // way, and the rest is an error.
  std::string status();  // JSON
  std::string metrics(); // Prometheus' text format
  Result<std::string> reload();
  Result<std::string> command(const std::vector<std::string>& words);
  Result<std::string> explain(const ExplainRequest& request);

private:
  std::vector<std::string> problems();
  void measure_daemon(Metrics& metrics);

  Part& part_;
  FairMutex turns_;
  bool ready_ = false;
  std::chrono::steady_clock::time_point since_;
  double start_unix_s_;
  std::uint64_t reloads_applied_ = 0;
  std::uint64_t reloads_failed_ = 0;
  std::string reload_problem_; // of the last reload, if it failed
};

} // namespace trap
