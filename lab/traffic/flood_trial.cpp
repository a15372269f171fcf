// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/flood_trial.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "lab/hosts/counters.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/process.h"
#include "lab/traffic/torrent.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

// Queues fill, and the kernel's defences notice.
constexpr milliseconds settling{200};
constexpr double share_that_arrives = 0.8;
constexpr double share_of_a_busy_cpu = 0.9;
constexpr double share_of_a_disturbed_cpu = 0.1;

double percentile_of(const std::vector<Call>& calls, double Call::*time, int percent) {
  if (calls.empty())
    return 0;
  std::vector<double> times(calls.size());
  std::ranges::transform(calls, times.begin(), [&](const Call& call) { return call.*time; });
  std::ranges::sort(times);
  const auto rank =
      static_cast<std::size_t>(std::ceil(static_cast<double>(times.size()) * percent / 100));
  return times[std::max<std::size_t>(rank, 1) - 1];
}

// With two CPUs, clients share the victim's: with the flood's, their packets would come only while
// the flood pauses.
int clients_cpu() {
  return last_cpu() > 1 ? 1 : 0;
}

class TrialRun {
public:
  TrialRun(const Topology& topology, const FloodTrialPlan& plan)
      : topology_(topology), plan_(plan), callee_{plan.called_address, service_port} {
    trial_.asked_per_second = plan.per_second;
  }

  Result<FloodTrial> run() {
    const auto pinned = Pinned::to(clients_cpu());
    if (!pinned)
      return pinned.error();
    if (auto begun = begin_flood(); !begun)
      return begun.error();
    const Preferred clients{first_nice};
    if (auto called = call(); !called)
      return called.error();
    if (plan_.load.connections > 0)
      if (auto loaded = load(); !loaded)
        return loaded.error();
    return std::move(trial_);
  }

private:
  Result<void> begin_flood() {
    if (plan_.per_second == 0)
      return {};
    auto started = Torrent::start(topology_, {plan_.family, plan_.flooded, plan_.flooded_address,
                                              service_port, plan_.per_second});
    if (!started)
      return started.error();
    torrent_ = std::move(*started);
    if (!sleep_for(settling))
      return Error{"interrupted"};
    return {};
  }

  Result<void> call() {
    if (torrent_)
      if (auto from_here = torrent_->seen(); !from_here)
        return from_here.error();
    const Host& flooded = topology_.host(plan_.flooded);
    const auto before = stack_counters(flooded);
    const auto victim = CpuWatch::start(0), own = CpuWatch::start(last_cpu());
    if (!before || !victim || !own)
      return !before ? before.error() : victim ? own.error() : victim.error();
    auto calls = call_at_pace(topology_.host(plan_.client), callee_, plan_.pace, plan_.before_call);
    if (!calls)
      return calls.error();
    trial_.calls = std::move(*calls);
    if (const auto after = stack_counters(flooded))
      trial_.refused_by_backlog = count_of(difference(*before, *after), "TcpExt.TCPReqQFullDrop");
    if (auto busy = victim->busy_share())
      trial_.victim_busy = *busy;
    for (const auto* watch : {&victim, &own})
      if (auto stolen = (*watch)->stolen_share())
        trial_.stolen = std::max(trial_.stolen, *stolen);
    if (!torrent_)
      return {};
    const auto seen = torrent_->seen();
    if (!seen)
      return seen.error();
    trial_.offered_per_second = seen->offered_per_second();
    trial_.received_per_second = seen->received_per_second();
    return {};
  }

  Result<void> load() {
    const auto victim = CpuWatch::start(0);
    if (!victim)
      return victim.error();
    const auto requests = requests_per_second(topology_.host(plan_.client), callee_, plan_.load);
    if (!requests)
      return requests.error();
    trial_.requests_per_second = *requests;
    if (auto busy = victim->busy_share())
      trial_.victim_busy_with_load = *busy;
    return {};
  }

  const Topology& topology_;
  const FloodTrialPlan& plan_;
  const Callee callee_;
  std::unique_ptr<Torrent> torrent_;
  FloodTrial trial_;
};

} // namespace

double FloodTrial::share_served() const {
  return calls.empty() ? 0
                       : static_cast<double>(std::ranges::count_if(calls, &Call::answered)) /
                             static_cast<double>(calls.size());
}

double FloodTrial::connect_ms(int percent) const {
  return percentile_of(calls, &Call::connect_ms, percent);
}

double FloodTrial::first_byte_ms(int percent) const {
  return percentile_of(calls, &Call::first_byte_ms, percent);
}

bool FloodTrial::flood_arrived() const {
  return offered_per_second >= share_that_arrives * asked_per_second;
}

bool FloodTrial::victim_was_busy() const {
  return victim_busy >= share_of_a_busy_cpu;
}

bool FloodTrial::load_was_limited_by_victim() const {
  return victim_busy_with_load >= share_of_a_busy_cpu;
}

std::string FloodTrial::doubt() const {
  if (share_served() >= share_that_holds)
    return "";
  if (stolen >= share_of_a_disturbed_cpu)
    return fmt::format("{:.0f} % of a CPU's time was taken from this machine", stolen * 100);
  if (!victim_was_busy() && refused_by_backlog < calls.size())
    return fmt::format("the victim's CPU was only {:.0f} % busy: it is not what lost the calls",
                       victim_busy * 100);
  return "";
}

Result<FloodTrial> try_under_flood(const Topology& topology, const FloodTrialPlan& plan) {
  return TrialRun{topology, plan}.run();
}

Result<void> keep_programs_to_cpu(const Host& host, int cpu) {
  struct stat own {};
  if (fstat(host.descriptor(), &own) != 0)
    return Error{"cannot see the namespace of " + host.name() + ": " + error_text(errno)};
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    struct stat status {};
    if (pid <= 0 || pid == getpid() || stat((entry.path() / "ns/net").c_str(), &status) != 0 ||
        status.st_ino != own.st_ino)
      continue;
    for (const auto& thread : std::filesystem::directory_iterator(entry.path() / "task", ignored))
      if (const pid_t id = std::atoi(thread.path().filename().c_str());
          sched_setaffinity(id, sizeof one, &one) == 0)
        prefer(id, measured_nice);
  }
  return {};
}

} // namespace trap::lab
