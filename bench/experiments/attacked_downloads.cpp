// SPDX-License-Identifier: Apache-2.0
// 5 MB through a flood. The flood has the last CPU for itself, including the network's work for it;
// clients and servers share the first. A download that does not end in time counts as its deadline.
#include <cstdio>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "bench/experiments/defence_rounds.h"
#include "bench/experiments/defences.h"
#include "bench/experiments/experiments.h"
#include "lab/deployment/visit.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/files.h"
#include "lab/traffic/flood.h"

namespace trap::bench {
namespace {

namespace fs = std::filesystem;
using lab::Family;
using std::chrono::milliseconds;

constexpr std::string_view document = "5mb.bin";
// A flood lasts at least this long, so that its rate means something.
constexpr milliseconds flood_least{300};
constexpr double paper_with_ms = 253.03, paper_without_ms = 2935.06;
constexpr std::string_view paper_attack = "attack-paper", hardest_attack = "attack-flood";
constexpr double hping_least = 2000;

struct Outcome {
  double ms;
  bool whole;
  double per_second; // of the flood
};

class AttackedDownloads {
public:
  AttackedDownloads(const AttackedDownloadEffort& effort, Testbed& testbed, Report& report)
      : effort_(effort), report_(report), testbed_(testbed) {}

  Result<void> run() {
    const auto measure = [&](const Defence& defence, Family family) {
      return attack(defence, family);
    };
    if (auto ran = rounds_.run(effort_.rounds, measure); !ran)
      return ran;
    rounds_.for_each([&](const Defence& defence, Family family) {
      for (const std::string_view experiment : {paper_attack, hardest_attack})
        add(experiment, defence, family);
    });
    return {};
  }

private:
  Result<Work> attack(const Defence& defence, Family family) {
    Work work{0, true};
    for (const auto& [experiment, order] :
         {std::pair{paper_attack, paper_flood(family, defence.host)},
          {hardest_attack, hardest_flood(family, defence.host)}}) {
      const auto outcome = attacked(defence, family, order);
      if (!outcome)
        return outcome.error();
      outcomes_[{experiment, defence.name, family}].push_back(*outcome);
      work.connections += outcome->whole ? 1 : 0;
      if (experiment == paper_attack && family == Family::ipv4)
        hping_rate_ = static_cast<int>(outcome->per_second);
    }
    return work;
  }

  // hping3's `-i u10` means 100,000 packets a second, but hping3 sleeps between two packets, and
  // Linux does not wake it that often. It does not speak IPv6: there the lab's generator sends as
  // many as hping3 did.
  [[nodiscard]] lab::FloodOrder paper_flood(Family family, std::string_view victim) const {
    lab::FloodOrder order = hardest_flood(family, victim);
    order.hping = {"-i", "u10", "-S", "-P"};
    if (family == Family::ipv6)
      order.per_second = hping_rate_;
    return order;
  }

  static lab::FloodOrder hardest_flood(Family family, std::string_view victim) {
    lab::FloodOrder order{family, lab::FloodKind::syn, std::string{victim}, lab::service_port};
    order.hping = {"--flood", "-S", "-P"};
    return order;
  }

  Result<Outcome> attacked(const Defence& defence, Family family, const lab::FloodOrder& order) {
    const auto flood = start_pinned_flood(testbed_.topology(), order);
    if (!flood)
      return flood.error();
    const auto pinned = lab::Pinned::to(0);
    if (!pinned)
      return pinned.error();
    defence.prepare(testbed_);
    const std::string file{document};
    const auto response = lab::fetch(testbed_.host(defence.client),
                                     {defence.url(family, "/" + file), effort_.deadline});
    if (!response)
      return response.error();
    if (!lab::sleep_for(flood_least))
      return Error{"interrupted"};
    const auto seen = flood->seen();
    if (!seen)
      return seen.error();
    if (auto enough = check_rate(order, seen->per_second()); !enough)
      return enough.error();
    const bool whole = lab::whole(*response, lab::download_bytes);
    if (whole && !lab::same_content(response->body, testbed_.host("service").directory() /
                                                        "nginx/documents" / file))
      return Error{defence.name + ": the content is not what was served"};
    std::error_code ignored;
    fs::remove(response->body, ignored);
    return Outcome{whole ? response->total_s * 1000 : static_cast<double>(effort_.deadline.count()),
                   whole, seen->per_second()};
  }

  [[nodiscard]] Result<void> check_rate(const lab::FloodOrder& order, double per_second) const {
    const double least =
        order.per_second == 0 ? hping_least : effort_.flood_share * order.per_second;
    if (per_second < least)
      return Error{fmt::format("the flood at {} had {:.0f} SYNs/s, not {:.0f} or more",
                               order.victim, per_second, least)};
    return {};
  }

  void add(std::string_view experiment, const Defence& defence, Family family) {
    const std::vector<Outcome>& outcomes = outcomes_[{experiment, defence.name, family}];
    std::vector<double> times, rates;
    int whole = 0;
    for (const Outcome& outcome : outcomes) {
      times.push_back(outcome.ms);
      rates.push_back(outcome.per_second);
      whole += outcome.whole ? 1 : 0;
    }
    const Spread time = spread_of(times), rate = spread_of(rates);
    const int version = static_cast<int>(family), runs = static_cast<int>(outcomes.size());
    std::printf("%-13s %-14s IPv%d  %8.1f ms  (%.1f to %.1f)  %d of %d arrived, %.0f SYNs/s\n",
                std::string{experiment}.c_str(), defence.name.c_str(), version, time.median,
                time.min, time.max, whole, runs, rate.median);
    Line line{std::string{experiment},
              defence.name,
              version,
              "download_time",
              "ms",
              time.median,
              time.min,
              time.max,
              runs};
    line.more = {
        {"rate", rate.median}, {"arrived", whole}, {"deadline_ms", effort_.deadline.count()}};
    if (experiment == paper_attack && (defence.name == "trap" || defence.name == "no-defence"))
      line.more["paper"] = defence.name == "trap" ? paper_with_ms : paper_without_ms;
    if (!defence.note.empty())
      line.more["note"] = defence.note;
    report_.add(std::move(line));
    const double share = static_cast<double>(whole) / runs;
    report_.add(Line{std::string{experiment}, defence.name, version, "success", "share", share,
                     whole == runs ? 1.0 : 0.0, whole == 0 ? 0.0 : 1.0, runs});
    if (defence.name == "trap")
      report_.add(Target{fmt::format("{}, IPv{}: 5 MB with TRAP", experiment, version), time.median,
                         Bound::at_most, paper_with_ms, "ms"});
  }

  const AttackedDownloadEffort& effort_;
  Report& report_;
  Testbed& testbed_;
  DefenceRounds rounds_{"attack-download", defences_under_attack(), testbed_, report_,
                        effort_.families};
  int hping_rate_ = 0; // the last
  std::map<std::tuple<std::string_view, std::string, Family>, std::vector<Outcome>> outcomes_;
};

} // namespace

Result<void> measure_attacked_downloads(const AttackedDownloadEffort& effort, Report& report) {
  const auto testbed = Testbed::build(Serves::documents, 0);
  if (!testbed)
    return testbed.error();
  return AttackedDownloads{effort, **testbed, report}.run();
}

} // namespace trap::bench
