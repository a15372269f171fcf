// SPDX-License-Identifier: Apache-2.0
// CPUs of the calling thread and of the processes that it starts, and how busy a CPU was.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include <sched.h>
#include <sys/types.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

// The measured one where only one is measured.
int last_cpu();

// Keeps the thread to one CPU from now on. False, with errno, if that fails.
bool keep_to_cpu(int cpu);

// A thread that keeps to one CPU for as long as this lives, and then to those it had before.
class Pinned {
public:
  // The calling thread, which must also be the one that destroys the result.
  static Result<Pinned> to(int cpu);
  Pinned(Pinned&& other) noexcept : before_(std::exchange(other.before_, std::nullopt)) {}
  Pinned& operator=(Pinned&&) = delete;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned();

private:
  explicit Pinned(const cpu_set_t& before) : before_(before) {}
  std::optional<cpu_set_t> before_; // empty once it was moved from
};

// Lets the thread, and the processes that it starts, go before others of the machine, so that those
// disturb a measurement less. For as long as this lives; it needs root.
class Preferred {
public:
  explicit Preferred(int nice);
  ~Preferred();
  Preferred(const Preferred&) = delete;
  Preferred& operator=(const Preferred&) = delete;

private:
  int before_;
};

// Gives a thread, 0 for the caller, this niceness and short turns, so that it need not wait long
// for its next one. Kernels before 6.12 know no turns of a thread's own.
void prefer(pid_t thread, int nice);

// Of whatever is measured; clients, whose time is short, and answers on their way go first.
inline constexpr int measured_nice = -10, first_nice = -15;

// Keeps idle CPUs from halting for as long as the descriptor lives, as a host does that is tuned
// for packets. A halted virtual CPU is asleep for longer than a veth's ring of 256 frames takes to
// fill at a million frames a second, so that an idle machine lost what a busy one received. Empty
// where the kernel cannot.
Fd keep_cpus_awake();

// Shares of a CPU's time since the watch began, from /proc/stat, which counts in ticks: a watch of
// less than a tenth of a second says little.
class CpuWatch {
public:
  static Result<CpuWatch> start(int cpu);
  // Not idle and not stolen.
  [[nodiscard]] Result<double> busy_share() const;
  // Taken by the machine that this one runs on.
  [[nodiscard]] Result<double> stolen_share() const;

private:
  struct Ticks {
    std::uint64_t all = 0, idle = 0, stolen = 0;
  };
  static Result<Ticks> read(int cpu);
  [[nodiscard]] Result<double> share(std::uint64_t (*part)(const Ticks&)) const;
  CpuWatch(int cpu, const Ticks& before) : cpu_(cpu), before_(before) {}
  int cpu_;
  Ticks before_;
};

} // namespace trap::lab
