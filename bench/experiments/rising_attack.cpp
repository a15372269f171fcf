// SPDX-License-Identifier: Apache-2.0
// New connections and requests while a flood rises, in steps. The flood has the last CPU, the
// victim's receive path and the web server the first. A step whose victim had time left when it
// lost connections, or whose flood did not come as asked, has no figures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include <fmt/format.h>

#include "bench/experiments/defence_rounds.h"
#include "bench/experiments/defences.h"
#include "bench/experiments/experiments.h"
#include "lab/hosts/cpus.h"
#include "lab/traffic/flood_trial.h"
#include "lab/traffic/torrent.h"

namespace trap::bench {
namespace {

using lab::Family;
using lab::FloodTrial;

constexpr std::chrono::microseconds interval{10'000};
constexpr int load_connections = 16;
// What collapsed is not flooded harder after as many steps without a served connection.
constexpr int hopeless_steps = 2;

class RisingAttack {
public:
  RisingAttack(const RisingAttackEffort& effort, Testbed& testbed, Report& report)
      : effort_(effort), report_(report), testbed_(testbed) {}

  Result<void> run() {
    for (const char* host : {"plain", "trap", "service"})
      if (auto prepared = lab::prepare_flooded_link(testbed_.topology(), host); !prepared)
        return prepared;
    for (const char* host : {"service", "trap"})
      if (auto kept = lab::keep_programs_to_cpu(testbed_.host(host), 0); !kept)
        return kept;
    const lab::Preferred measured{lab::measured_nice};
    const auto measure = [&](const Defence& defence, Family family) {
      return rise(defence, family);
    };
    if (auto ran = rounds_.run(effort_.rounds, measure); !ran)
      return ran;
    rounds_.for_each([&](const Defence& defence, Family family) { conclude(defence, family); });
    return {};
  }

private:
  Result<Work> rise(const Defence& defence, Family family) {
    Work work{0, true};
    int hopeless = 0;
    for (const int rate : effort_.rates) {
      auto trial = lab::try_under_flood(testbed_.topology(), plan_of(defence, family, rate));
      if (!trial)
        return trial.error();
      work.connections +=
          static_cast<std::uint64_t>(std::ranges::count_if(trial->calls, &lab::Call::answered));
      hopeless = trial->share_served() == 0 ? hopeless + 1 : 0;
      trials_[{defence.name, family, rate}].push_back(std::move(*trial));
      if (hopeless == hopeless_steps)
        break;
    }
    return work;
  }

  [[nodiscard]] lab::FloodTrialPlan plan_of(const Defence& defence, Family family, int rate) const {
    lab::FloodTrialPlan plan;
    plan.family = family;
    plan.flooded = defence.flooded_host();
    plan.flooded_address = lab::addresses_of(defence.flooded_host()).address(family);
    plan.per_second = rate;
    plan.client = defence.client;
    plan.called_address = defence.address(family);
    plan.before_call = [this, &defence] { defence.prepare(testbed_); };
    plan.pace = {static_cast<int>(effort_.window / interval), interval, effort_.deadline};
    plan.load = {load_connections, effort_.deadline / 5, effort_.window};
    return plan;
  }

  // Why a trial has no figures; empty if it has.
  static std::string doubt_of(const FloodTrial& trial) {
    return trial.flood_arrived()
               ? trial.doubt()
               : fmt::format("only {:.0f} SYNs/s were sent", trial.offered_per_second);
  }

  void conclude(const Defence& defence, Family family) {
    for (const int rate : effort_.rates) {
      const auto found = trials_.find({defence.name, family, rate});
      if (found == trials_.end())
        continue;
      std::vector<FloodTrial> good;
      std::string doubt;
      for (const FloodTrial& trial : found->second)
        if (const std::string why = doubt_of(trial); why.empty())
          good.push_back(trial);
        else
          doubt = why;
      const std::string what = fmt::format("attack-rise ipv{} {} at {} SYNs/s",
                                           static_cast<int>(family), defence.name, rate);
      if (!good.empty() && good.size() * 2 > found->second.size())
        add(defence, family, rate, good);
      else if (effort_.refuses)
        report_.refuse(what, doubt);
      else
        report_.skip(what, doubt);
    }
  }

  void add(const Defence& defence, Family family, int asked,
           const std::vector<FloodTrial>& trials) {
    const int version = static_cast<int>(family);
    const auto spread = [&](auto&& figure) {
      std::vector<double> values(trials.size());
      std::ranges::transform(trials, values.begin(), figure);
      return spread_of(values);
    };
    const double sent = spread([](const FloodTrial& t) { return t.offered_per_second; }).median;
    const auto line = [&](const char* metric, const char* unit, auto&& figure) {
      const Spread of = spread(figure);
      Line made{"attack-rise", defence.name, version,
                metric,        unit,         of.median,
                of.min,        of.max,       static_cast<int>(trials.size())};
      made.more = {{"rate", std::round(sent)},
                   {"asked", asked},
                   {"connections", trials.front().calls.size()},
                   {"deadline_ms", effort_.deadline.count()}};
      if (!defence.note.empty())
        made.more["note"] = defence.note;
      report_.add(std::move(made));
      return of.median;
    };
    const double success =
        line("success", "share", [](const FloodTrial& t) { return t.share_served(); });
    const double p50 =
        line("connect_p50", "ms", [](const FloodTrial& t) { return t.connect_ms(50); });
    line("connect_p99", "ms", [](const FloodTrial& t) { return t.connect_ms(99); });
    line("first_byte_p50", "ms", [](const FloodTrial& t) { return t.first_byte_ms(50); });
    const double p99 =
        line("first_byte_p99", "ms", [](const FloodTrial& t) { return t.first_byte_ms(99); });
    line("victim_busy", "share of a CPU", [](const FloodTrial& t) { return t.victim_busy; });
    const double requests = add_requests(trials, line);
    std::printf("attack-rise %-20s IPv%d  %9.0f SYNs/s  %5.1f %% served, connect p50 %8.3f ms, "
                "first byte p99 %8.3f ms, %8.0f requests/s\n",
                defence.name.c_str(), version, sent, success * 100, p50, p99, requests);
  }

  // Requests count only where the victim's CPU limited them in every trial.
  template <class AddLine>
  static double add_requests(const std::vector<FloodTrial>& trials, const AddLine& line) {
    if (!std::ranges::all_of(trials, &FloodTrial::load_was_limited_by_victim))
      return 0;
    return line("requests", "1/s", [](const FloodTrial& t) { return t.requests_per_second; });
  }

  using Key = std::tuple<std::string, Family, int>;
  const RisingAttackEffort& effort_;
  Report& report_;
  Testbed& testbed_;
  DefenceRounds rounds_{"attack-rise", defences_under_rising_attack(), testbed_, report_,
                        effort_.families};
  std::map<Key, std::vector<FloodTrial>> trials_;
};

} // namespace

Result<void> measure_rising_attack(const RisingAttackEffort& effort, Report& report) {
  if (lab::last_cpu() == 0) {
    report.skip("attack-rise", "this machine has one CPU, which flood and victim would share");
    return {};
  }
  const auto testbed = Testbed::build(Serves::documents, 0);
  if (!testbed)
    return testbed.error();
  return RisingAttack{effort, **testbed, report}.run();
}

} // namespace trap::bench
