// SPDX-License-Identifier: Apache-2.0
// A part while it runs: the lock under which the main loop and the threads of control socket and
// metrics listener take turns, and the answers that are alike for all parts: state, problems,
// reloads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/control/metrics.h"
#include "runtime/process/clock_watch.h"
#include "runtime/process/part.h"
#include "runtime/process/problem_log.h"

namespace trap {

// A lock that threads take in turns. With a plain mutex a loop that is always busy would take it
// back before a thread that waits wakes up.
class FairMutex {
public:
  void lock() {
    // A thread that waits for its turn holds `next_`, and so keeps out the one that just had it.
    std::lock_guard waiting(next_);
    turn_.lock();
  }
  void unlock() { turn_.unlock(); }

private:
  std::mutex next_;
  std::mutex turn_;
};

class RunningPart {
public:
  // `part` outlives this.
  explicit RunningPart(Part& part);

  // Where to ask for a problem of the control socket: one line, or an empty one.
  void watch_control(std::function<std::string()> problem);
  Result<void> start();

  // For the main loop.
  int event_fd();
  void turn(bool events, bool tick);

  // For every thread. Before the start is through, status and metrics tell only that it is under
  // way, and the rest is an error.
  std::string status();                              // JSON
  std::string metrics();                             // Prometheus' text format
  ReadyAnswer readiness(const std::string& service); // of every service if it is empty
  Result<std::string> reload();
  Result<std::string> command(const std::vector<std::string>& words);
  Result<std::string> explain(const ExplainRequest& request);

private:
  std::vector<std::string> problems();
  void measure_daemon(Metrics& metrics);

  Part& part_;
  FairMutex turns_;
  bool ready_ = false;
  std::chrono::steady_clock::time_point ready_since_;
  std::chrono::steady_clock::time_point since_;
  double start_unix_s_;
  std::uint64_t reloads_applied_ = 0;
  std::uint64_t reloads_failed_ = 0;
  std::string reload_problem_; // of the last reload, if it failed
  std::function<std::string()> control_problem_ = [] { return std::string(); };
  ProblemLog problem_log_;
  ClockWatch clock_;
  std::chrono::steady_clock::time_point noted_; // when problems were last looked at for the log
};

} // namespace trap
