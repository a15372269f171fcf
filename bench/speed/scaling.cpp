// SPDX-License-Identifier: Apache-2.0
// The cost of a packet where two CPUs run a program at once, beside one CPU alone: CPUs that wait
// for each other's cache lines pay for it. Both draw packets of the same clients, of few or of
// many.
#include "bench/speed/measurements.h"

#include <algorithm>
#include <barrier>
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "bench/harness/replayer.h"
#include "bench/harness/use_rigs.h"
#include "bench/speed/growth_subjects.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/interrupt.h"
#include "server/maps.h"
#include "tests/support/packet.h"

namespace trap::bench {
namespace {

constexpr std::uint32_t few = 16, many = 10'000;
constexpr std::uint64_t hour_ns = 3'600'000'000'000;
constexpr double wanted = 1.8; // times the packets of one CPU
constexpr int cpus = 2;
// Of each CPU: those of both fit into the ring buffer, which is read between calls. Each call costs
// some 20 ms of waiting in the kernel, so there are few.
constexpr int redirects_of_a_call = 4000, redirects_of_a_round = 20'000;
// Numbers of packets from which the second CPU goes on: it draws the same clients in another order.
constexpr std::uint64_t numbers_of_a_cpu = 1ULL << 40;

constexpr struct {
  const char* subject; // of bench/speed/growth_subjects.cpp
  const char* name;
} scaled[] = {{"growth-services", "scaling-syn"},
              {"growth-backends", "scaling-ack-valid"},
              {"growth-flows", "scaling-flow"},
              {"growth-clients", "scaling-syn-announced"}};

// Budgets that are looked at and written, and never used up.
void give_budgets(test::Object& server) {
  const std::uint32_t zero = 0;
  auto settings = server.get<trap_server_settings>("settings", zero);
  const trap_rate ample = {.token_ns = 1, .burst_ns = hour_ns, .chunk = 1, .reserved = 0};
  settings.client_handshakes = settings.network_handshakes = ample;
  settings.syn_acks =
      settings.resets = {.token_ns = 1, .burst_ns = hour_ns, .chunk = 64, .reserved = 0};
  server.put("settings", zero, settings);
}

// Uses the rigs in every function, and throws as they do.
class ScalingRun {
public:
  static Result<ScalingRun> load(const Subject& subject, std::uint32_t clients, int family) {
    const test::TestConstants constants;
    const bool is_guards = subject.program == "trap_guard";
    const std::uint32_t members = is_guards ? clients : 1;
    const Population population{members, members, family, constants};
    auto tested = subject.load(population);
    if (!tested)
      return tested.error();
    if (!is_guards)
      give_budgets(**tested);
    ScalingRun run{subject, std::move(*tested)};
    for (int cpu = 0; cpu < cpus; cpu++) {
      auto replayer = Replayer::load(subject.xdp);
      if (!replayer)
        return replayer.error();
      trap_replay_order order = subject.order(population);
      order.vary = TRAP_REPLAY_MEMBERS;
      order.family = static_cast<__u32>(family);
      order.l3_offset = 14;
      order.l4_offset = family == 4 ? 34 : 54;
      order.sources = clients;
      order.number = numbers_of_a_cpu * static_cast<std::uint64_t>(cpu);
      if (auto set =
              replayer->set(test::build_packet(subject.packet(family), family, constants), order);
          !set)
        return set.error();
      run.replayers_.push_back(std::move(*replayer));
    }
    return run;
  }

  // What two CPUs do in the time in which one does 1, once a round.
  std::vector<double> measure(const ScalingEffort& effort) {
    const int tested = tested_->program_fd(subject_.program);
    const int empty = replayers_[0].floors().program_fd(replayers_[0].empty());
    const bool redirects = subject_.verdict == TRAP_REPLY_REDIRECT;
    const int packets = redirects ? std::min(effort.packets, redirects_of_a_round) : effort.packets;
    call_ = redirects ? redirects_of_a_call : packets;
    std::vector<double> factors;
    time(tested, cpus, packets); // warm up
    for (int round = 0; round < effort.rounds; round++) {
      const double one = time(tested, 1, packets) - time(empty, 1, packets);
      const double both = time(tested, cpus, packets) - time(empty, cpus, packets);
      factors.push_back(cpus * one / std::max(both, 0.1));
    }
    return factors;
  }

  // Figures of another path would be worse than none.
  [[nodiscard]] Result<void> check_path() const {
    std::uint64_t counted = 0, all = 0;
    const std::vector<trap_count> counts = tested_->counts(few);
    for (std::size_t at = 0; at < counts.size(); at++) {
      all += counts[at].packets;
      counted += at % TRAP_VERDICT_SLOTS == subject_.verdict ? counts[at].packets : 0;
    }
    if (counted * 1000 < all * 999 || counted == 0)
      return Error{fmt::format("{} of {} packets took the measured path", counted, all)};
    return {};
  }

private:
  ScalingRun(const Subject& subject, std::unique_ptr<test::Object> tested)
      : subject_(subject), tested_(std::move(tested)) {}

  // Nanoseconds of CPU per packet, replay included, on the first so many CPUs at once.
  double time(int program, int at_once, int packets) {
    std::barrier together(at_once);
    std::vector<double> spent_ns(static_cast<std::size_t>(at_once));
    for (int done = 0; done < packets; done += call_) {
      std::vector<std::thread> threads;
      for (int cpu = 0; cpu < at_once; cpu++)
        threads.emplace_back([&, cpu] {
          const auto at = static_cast<std::size_t>(cpu);
          lab::keep_to_cpu(cpu);
          together.arrive_and_wait();
          spent_ns[at] += replayers_[at].run(program, call_);
        });
      for (std::thread& thread : threads)
        thread.join();
      if (subject_.verdict == TRAP_REPLY_REDIRECT)
        tested_->entries("redirected");
    }
    double sum = 0;
    for (const double ns : spent_ns)
      sum += ns;
    return sum / (packets * at_once);
  }

  const Subject& subject_;
  std::unique_ptr<test::Object> tested_;
  std::vector<Replayer> replayers_;
  int call_ = 0; // packets of each CPU
};

struct Case {
  const char* name;
  std::uint32_t clients;
  int family;
};

Result<void> measure_one(const Subject& subject, const Case& one, const ScalingEffort& effort,
                         Report& report) {
  const auto& [name, clients, family] = one;
  auto run = ScalingRun::load(subject, clients, family);
  if (!run)
    return run.error();
  const Spread factor = spread_of(run->measure(effort));
  if (auto taken = run->check_path(); !taken)
    return taken;
  std::printf("%-24s ipv%d  %6u clients  %5.2fx  (%5.2f to %5.2f)\n", name, family, clients,
              factor.median, factor.min, factor.max);
  std::fflush(stdout);
  Line line{name,          "trap",     family,     "scaling",    "x",
            factor.median, factor.min, factor.max, effort.rounds};
  line.more = {{"size", clients}, {"cpus", cpus}};
  report.add(std::move(line));
  report.add(Target{fmt::format("{}, IPv{}, {} clients: two CPUs over one", name, family, clients),
                    factor.median, Bound::at_least, wanted, "x"});
  return {};
}

void attempt_one(const Subject& subject, const Case& one, const ScalingEffort& effort,
                 Report& report) {
  const std::string what = fmt::format("{} ipv{} of {} clients", one.name, one.family, one.clients);
  if (lab::interrupted())
    return report.refuse(what, "interrupted");
  const auto measured = use_rigs([&] { return measure_one(subject, one, effort, report); });
  if (!measured)
    report.refuse(what, measured.error().message);
}

} // namespace

void measure_scaling(const ScalingEffort& effort, const std::string& only, Report& report) {
  const std::vector<Subject> all = subjects();
  for (const auto& [wanted_subject, name] : scaled) {
    if (std::string_view{name}.find(only) == std::string_view::npos)
      continue;
    if (std::thread::hardware_concurrency() < cpus) {
      report.skip(name, "two CPUs are needed, and this machine has one");
      continue;
    }
    const auto subject = std::ranges::find(all, wanted_subject, &Subject::name);
    for (const int family : effort.families) {
      for (const std::uint32_t clients : {few, many})
        attempt_one(*subject, {name, clients, family}, effort, report);
    }
  }
}

} // namespace trap::bench
