// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/cpus.h"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

namespace trap::lab {
namespace {

constexpr std::uint64_t turn_ns = 100'000;

// Where the scheduler groups the processes of a session, their own niceness counts only within it.
// The kernel may be without such groups.
void set_niceness_of_session(int nice) {
  std::ofstream{"/proc/self/autogroup"} << nice;
}

} // namespace

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

void prefer(pid_t thread, int nice) {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{sizeof attributes, SCHED_OTHER, 0, nice, 0, turn_ns, 0, 0};
  syscall(SYS_sched_setattr, thread, &attributes, 0);
}

Fd keep_cpus_awake() {
  constexpr std::int32_t most_us = 0;
  Fd latency{open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC)};
  if (latency && write(latency.get(), &most_us, sizeof most_us) != sizeof most_us)
    latency.reset();
  return latency;
}

Preferred::Preferred(int nice) : before_(getpriority(PRIO_PROCESS, 0)) {
  prefer(0, nice);
  set_niceness_of_session(measured_nice);
}

Preferred::~Preferred() {
  prefer(0, before_);
  set_niceness_of_session(before_ < 0 ? measured_nice : 0); // nested
}

// "cpu0 user nice system idle iowait irq softirq steal ...": the guests' time is in user and nice.
Result<CpuWatch::Ticks> CpuWatch::read(int cpu) {
  std::ifstream file{"/proc/stat"};
  const std::string wanted = fmt::format("cpu{}", cpu);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields{line};
    std::string name;
    if (!(fields >> name) || name != wanted)
      continue;
    Ticks ticks;
    std::uint64_t value = 0;
    for (int field = 0; field < 8 && fields >> value; field++) {
      ticks.all += value;
      ticks.idle += field == 3 || field == 4 ? value : 0;
      ticks.stolen += field == 7 ? value : 0;
    }
    return ticks;
  }
  return Error{"/proc/stat has no line for CPU " + std::to_string(cpu)};
}

Result<CpuWatch> CpuWatch::start(int cpu) {
  const auto now = read(cpu);
  if (!now)
    return now.error();
  return CpuWatch{cpu, *now};
}

Result<double> CpuWatch::share(std::uint64_t (*part)(const Ticks&)) const {
  const auto now = read(cpu_);
  if (!now)
    return now.error();
  const std::uint64_t all = now->all - before_.all;
  return all == 0 ? 0.0
                  : static_cast<double>(part(*now) - part(before_)) / static_cast<double>(all);
}

Result<double> CpuWatch::busy_share() const {
  return share([](const Ticks& ticks) { return ticks.all - ticks.idle - ticks.stolen; });
}

Result<double> CpuWatch::stolen_share() const {
  return share([](const Ticks& ticks) { return ticks.stolen; });
}

} // namespace trap::lab
