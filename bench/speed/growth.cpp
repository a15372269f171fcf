// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "bench/harness/proc.h"
#include "bench/harness/replayer.h"
#include "bench/harness/use_rigs.h"
#include "bench/speed/growth_subjects.h"
#include "lab/hosts/interrupt.h"
#include "runtime/kernel/counters.h"
#include "runtime/verdict_text.h"
#include "tests/support/packet.h"

namespace trap::bench {
namespace {

constexpr std::uint32_t quickly_filled = 1'000;
// Redirects fill a ring buffer, which is read between calls.
constexpr int redirects_of_a_call = 4000, redirects_of_a_round = 20'000;
constexpr std::uint32_t slots_most = 1024;
// The guard's tables are sets of few entries. Now and then a set has no room for a member, although
// most others are half empty.
constexpr double share_on_path = 0.999;

// Uses the rigs in every function, and throws as they do: measure_growth() wraps them.
class GrowthRun {
public:
  static Result<GrowthRun> load(const Subject& subject, const Population& population) {
    auto replayer = Replayer::load(subject.xdp);
    if (!replayer)
      return replayer.error();
    auto tested = subject.load(population);
    if (!tested)
      return tested.error();
    trap_replay_order order = subject.order(population);
    order.vary = TRAP_REPLAY_MEMBERS;
    order.family = static_cast<__u32>(population.family);
    order.l3_offset = 14;
    order.l4_offset = population.family == 4 ? 34 : 54;
    if (auto set = replayer->set(test::build_packet(subject.packet(population.family),
                                                    population.family, population.constants),
                                 order);
        !set)
      return set.error();
    return GrowthRun{subject, std::move(*replayer), std::move(*tested)};
  }

  Result<Spread> measure(const GrowthEffort& effort) {
    const bool redirects = subject_.verdict == TRAP_REPLY_REDIRECT;
    const int packets = redirects ? std::min(effort.packets, redirects_of_a_round) : effort.packets;
    call_ = redirects ? redirects_of_a_call : packets;
    const int empty = replayer_.floors().program_fd(replayer_.empty());
    const int tested = tested_->program_fd(subject_.program);
    std::vector<double> ns;
    time(tested, packets); // warm up
    for (int round = 0; round < effort.rounds; round++) {
      const double without = time(empty, packets);
      ns.push_back(std::max(0.1, time(tested, packets) - without));
    }
    if (auto taken = check_path(static_cast<std::uint64_t>(packets) *
                                static_cast<std::uint64_t>(effort.rounds + 1));
        !taken)
      return taken.error();
    return spread_of(ns);
  }

  [[nodiscard]] Result<double> kib() const {
    double sum = 0;
    for (const std::string& map : tested_->map_names()) {
      const auto taken = map_kib(tested_->map_fd(map));
      if (!taken)
        return taken;
      sum += *taken;
    }
    return sum;
  }

private:
  GrowthRun(const Subject& subject, Replayer replayer, std::unique_ptr<test::Object> tested)
      : subject_(subject), replayer_(std::move(replayer)), tested_(std::move(tested)) {}

  double time(int program, int packets) {
    double spent_ns = 0;
    for (int done = 0; done < packets; done += call_) {
      spent_ns += replayer_.run(program, std::min(call_, packets - done));
      if (subject_.verdict == TRAP_REPLY_REDIRECT)
        tested_->entries("redirected");
    }
    return spent_ns / packets;
  }

  [[nodiscard]] Result<void> check_path(std::uint64_t sent) const {
    const std::vector<trap_count> counts = tested_->counts(slots_most);
    std::vector<std::uint64_t> packets(TRAP_VERDICT_SLOTS);
    for (std::size_t at = 0; at < counts.size(); at++)
      packets[at % TRAP_VERDICT_SLOTS] += counts[at].packets;
    const std::uint64_t counted = packets[subject_.verdict];
    packets[subject_.verdict] = 0;
    const auto other = std::ranges::max_element(packets) - packets.begin();
    if (static_cast<double>(counted) < static_cast<double>(sent) * share_on_path || counted > sent)
      return Error{fmt::format("{} of {} packets took the measured path, most others were {}",
                               counted, sent, verdict_name(static_cast<int>(other)))};
    return {};
  }

  const Subject& subject_;
  Replayer replayer_;
  std::unique_ptr<test::Object> tested_;
  int call_ = 0;
};

void add(const Subject& subject, const Population& population, const char* metric, const char* unit,
         const Spread& spread, int runs, Report& report) {
  Line line{subject.name,  "trap",     population.family, metric, unit,
            spread.median, spread.min, spread.max,        runs};
  line.more = {{"size", population.size}};
  report.add(std::move(line));
}

Result<void> measure_one(const Subject& subject, int family, const GrowthEffort& effort,
                         Report& report) {
  const test::TestConstants constants;
  std::vector<std::uint32_t> sizes = subject.sizes;
  if (!effort.all)
    sizes = {sizes.front(), std::min(sizes.back(), quickly_filled)};
  // The greatest tables half full, before they are as full as they get.
  if (effort.all)
    sizes.insert(sizes.end() - 1, sizes.back() / 2);
  double smallest_ns = 0;
  for (const std::uint32_t size : sizes) {
    if (lab::interrupted())
      return Error{"interrupted"};
    const bool large = size >= sizes.back() / 2;
    const Population population{size, large ? sizes.back() : size, family, constants};
    auto run = GrowthRun::load(subject, population);
    if (!run)
      return run.error();
    const auto measured = run->measure(effort);
    if (!measured)
      return measured.error();
    const auto memory = run->kib();
    if (!memory)
      return memory.error();
    const Spread spread = *measured;
    const double kib = *memory;
    std::printf("%-20s ipv%d  %8u  %7.1f ns  (%6.1f to %6.1f)  %9.0f KiB\n", subject.name.c_str(),
                family, size, spread.median, spread.min, spread.max, kib);
    std::fflush(stdout);
    add(subject, population, "time_per_packet", "ns", spread, effort.rounds, report);
    add(subject, population, "memory", "KiB", {kib, kib, kib}, 1, report);
    if (size == sizes.front())
      smallest_ns = spread.median;
    else if (large)
      report.add(Target{
          fmt::format("{}, IPv{}: {} members above {}", subject.name, family, size, sizes.front()),
          spread.median - smallest_ns, Bound::at_most, subject.limit_ns, "ns"});
  }
  return {};
}

} // namespace

void measure_growth(const GrowthEffort& effort, const std::string& only, Report& report) {
  for (const Subject& subject : subjects()) {
    if (subject.name.find(only) == std::string::npos)
      continue;
    for (const int family : {4, 6}) {
      if (!effort.all && family == 6)
        continue;
      const auto measured = use_rigs([&] { return measure_one(subject, family, effort, report); });
      if (!measured)
        report.refuse(fmt::format("{} ipv{}", subject.name, family), measured.error().message);
    }
  }
}

} // namespace trap::bench
