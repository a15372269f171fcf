// SPDX-License-Identifier: Apache-2.0
// Connections at even intervals while the flood rises, in steps. The flood has the last CPU for
// itself, including the work of network and XDP. So the cost of a defence slows the flood, and each
// step is reported at the rate that arrived. Clients and servers share the first CPU.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "bench/experiments/defence_rounds.h"
#include "bench/experiments/defences.h"
#include "bench/experiments/experiments.h"
#include "bench/harness/greeter.h"
#include "lab/hosts/cpus.h"
#include "lab/traffic/flood.h"

namespace trap::bench {
namespace {

using lab::Family;

constexpr std::chrono::microseconds interval{5000};
constexpr std::chrono::milliseconds probed{300};
constexpr double share_reachable = 0.6; // of the most that arrives

// One window of connections at one rate.
struct Window {
  double per_second; // of the flood, as it arrived
  double success, p50_ms, p99_ms;
};

Window window_of(const std::vector<Attempt>& attempts, double per_second) {
  std::vector<double> times(attempts.size());
  std::ranges::transform(attempts, times.begin(), &Attempt::took_ms);
  const auto answered = std::ranges::count_if(attempts, &Attempt::answered);
  return {per_second, static_cast<double>(answered) / static_cast<double>(attempts.size()),
          percentile(times, 50), percentile(times, 99)};
}

class RisingAttack {
public:
  RisingAttack(const RisingAttackEffort& effort, Testbed& testbed, Report& report)
      : effort_(effort), report_(report),
        testbed_(testbed), pace_{static_cast<int>(effort.window / interval), interval,
                                 effort.deadline} {}

  Result<void> run() {
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
    std::vector<int>& rates = rates_[{defence.name, family}];
    if (rates.empty()) {
      auto found = reachable(defence, family);
      if (!found)
        return found.error();
      rates = std::move(*found);
    }
    Work work{0, true};
    for (const int rate : rates) {
      const auto attempts = attack(defence, family, rate);
      if (!attempts)
        return attempts.error();
      work.connections +=
          static_cast<std::uint64_t>(std::ranges::count_if(*attempts, &Attempt::answered));
    }
    return work;
  }

  // The rates well below the highest that arrives at this defence, and 0 for the highest.
  [[nodiscard]] Result<std::vector<int>> reachable(const Defence& defence, Family family) const {
    const auto flood = start_flood(defence, family, 0);
    if (!flood)
      return flood.error();
    if (!lab::sleep_for(probed))
      return Error{"interrupted"};
    const auto seen = flood->seen();
    if (!seen)
      return seen.error();
    const double most = seen->per_second();
    std::vector<int> rates;
    std::ranges::copy_if(effort_.rates, std::back_inserter(rates),
                         [&](int rate) { return rate < share_reachable * most; });
    rates.push_back(0);
    return rates;
  }

  [[nodiscard]] Result<lab::Flood> start_flood(const Defence& defence, Family family,
                                               int rate) const {
    lab::FloodOrder order{family, lab::FloodKind::syn, std::string{defence.host},
                          lab::service_port};
    order.hardest = true;
    order.per_second = rate;
    return start_pinned_flood(testbed_.topology(), order);
  }

  Result<std::vector<Attempt>> attack(const Defence& defence, Family family, int rate) {
    const auto flood = start_flood(defence, family, rate);
    if (!flood)
      return flood.error();
    const auto pinned = lab::Pinned::to(0);
    if (!pinned)
      return pinned.error();
    auto attempts = time_greetings(testbed_.host(defence.client), defence.address(family),
                                   lab::service_port, pace_, [&] { defence.prepare(testbed_); });
    if (!attempts)
      return attempts;
    const auto seen = flood->seen();
    if (!seen)
      return seen.error();
    const double per_second = seen->per_second();
    const Key key{defence.name, family, rate};
    if (per_second < effort_.flood_share * rate)
      slow_[key] = std::min(slow_.contains(key) ? slow_[key] : per_second, per_second);
    windows_[key].push_back(window_of(*attempts, per_second));
    return attempts;
  }

  void conclude(const Defence& defence, Family family) {
    for (const int rate : rates_[{defence.name, family}]) {
      const Key key{defence.name, family, rate};
      if (slow_.contains(key))
        report_.refuse(fmt::format("attack-rise ipv{} {} at {} SYNs/s", static_cast<int>(family),
                                   defence.name, rate),
                       fmt::format("only {:.0f} SYNs/s arrived", slow_[key]));
      else
        add(defence, family, rate, windows_[key]);
    }
  }

  void add(const Defence& defence, Family family, int asked, const std::vector<Window>& windows) {
    const auto spread = [&](double Window::*member) {
      std::vector<double> values(windows.size());
      std::ranges::transform(windows, values.begin(), member);
      return spread_of(values);
    };
    const double rate = spread(&Window::per_second).median;
    const int version = static_cast<int>(family);
    const auto line = [&](const char* metric, const char* unit, const Spread& of) {
      Line made{"attack-rise", defence.name, version,
                metric,        unit,         of.median,
                of.min,        of.max,       static_cast<int>(windows.size())};
      made.more = {{"rate", std::round(rate)},
                   {"asked", asked},
                   {"connections", pace_.connections},
                   {"deadline_ms", pace_.deadline.count()}};
      if (!defence.note.empty())
        made.more["note"] = defence.note;
      report_.add(std::move(made));
      return of.median;
    };
    const double success = line("success", "share", spread(&Window::success));
    const double p50 = line("connect_p50", "ms", spread(&Window::p50_ms)),
                 p99 = line("connect_p99", "ms", spread(&Window::p99_ms));
    std::printf(
        "attack-rise %-14s IPv%d  %9.0f SYNs/s  %5.1f %% answered, p50 %8.3f ms, p99 %8.3f ms\n",
        defence.name.c_str(), version, rate, success * 100, p50, p99);
  }

  using Key = std::tuple<std::string, Family, int>;
  const RisingAttackEffort& effort_;
  Report& report_;
  Testbed& testbed_;
  const Pace pace_;
  DefenceRounds rounds_{"attack-rise", defences_under_attack(), testbed_, report_};
  std::map<std::pair<std::string, Family>, std::vector<int>> rates_; // 0: the highest
  std::map<Key, std::vector<Window>> windows_;
  std::map<Key, double> slow_; // rates of floods that were slower than asked
};

} // namespace

Result<void> measure_rising_attack(const RisingAttackEffort& effort, Report& report) {
  const auto testbed = Testbed::build(Serves::greeting, 0);
  if (!testbed)
    return testbed.error();
  return RisingAttack{effort, **testbed, report}.run();
}

} // namespace trap::bench
