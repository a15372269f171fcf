// SPDX-License-Identifier: Apache-2.0
// Child processes: each in a process group of its own and in the network namespace of a lab host,
// each with a deadline, and none outlives the lab (parent-death signal, group kill in the
// destructor).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

struct Command {
  std::vector<std::string> arguments; // argv; argv[0] is looked up in PATH
  int network_namespace = -1;         // descriptor of the namespace to run in, -1: the lab's own
  std::string input{};                // stdin of the program
  std::filesystem::path log{};        // stdout and stderr are appended here; empty: captured
  bool for_cleanup = false;           // an interrupt does not cut it short
  bool as_unit = false;               // with no socket families but those of a daemon's unit

  [[nodiscard]] std::string text() const;
};

struct Finished {
  int exit_code = -1; // 128 + signal if one ended it
  bool timed_out = false;
  std::string output;
  std::string errors;
};

// A running child. The destructor kills its whole group and reaps it.
class Process {
public:
  static Result<Process> start(const Command& command);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  [[nodiscard]] bool running();
  [[nodiscard]] pid_t pid() const { return pid_; } // -1 once it has ended and was waited for

  // Waits for the end; past the deadline, or when interrupted, kills the group.
  Result<Finished> wait(std::chrono::milliseconds deadline);

  // Sends a signal to the group and waits; kills it when the deadline passes.
  Finished stop(int signal_number, std::chrono::milliseconds deadline);

private:
  Process() = default;
  enum class Wake { ended, deadline, interrupt };
  Wake sleep_until_end(std::chrono::milliseconds deadline, bool heed_interrupts);
  void kill_and_reap();
  [[nodiscard]] Finished finished(bool timed_out) const;

  pid_t pid_ = -1; // -1 once reaped
  int exit_code_ = -1;
  bool for_cleanup_ = false;
  Fd pidfd_, output_, errors_;
};

// Runs a command to its end. An error only if it could not run or the lab was interrupted: look at
// exit_code.
Result<Finished> run(const Command& command, std::chrono::milliseconds deadline);

// As run(), but an exit code other than 0 is an error that quotes the command and its output.
Result<std::string> run_checked(const Command& command, std::chrono::milliseconds deadline);

// Sleeps, but not through an interrupt: then false.
bool sleep_for(std::chrono::milliseconds duration);

// Timeouts for machines that are slower than those they were made for, such as emulated ones:
// multiplied by TRAP_LAB_TIMEOUT_SCALE of the environment, a whole number from 1 to 100, else 1.
std::chrono::milliseconds scale_timeout(std::chrono::milliseconds timeout);

// Asks every 20 ms until it holds, for at most the scaled time. False if it did not, or after an
// interrupt.
bool becomes(const std::function<bool()>& holds,
             std::chrono::milliseconds within = std::chrono::seconds{10});

// Directory of the programs under test: that of trap-lab itself.
std::filesystem::path program_directory();

// Of the version that an upgrade starts from: TRAP_LAB_FORMER of the environment, or this version.
std::filesystem::path former_program_directory();

} // namespace trap::lab
