// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <cstdio>

#include <fmt/format.h>

namespace trap::bench {
namespace {

// The most that a path may cost, as a multiple of sending a packet back unread.
constexpr struct {
  const char* path;
  double limit;
} limits[] = {{"server-syn", 5},
              {"server-serve-syn", 8},
              {"server-kernel-cookie-syn", 8},
              {"server-ack-invalid", 3.5},
              {"server-serve-ack-invalid", 3.5}};
constexpr double limit_of_ipv6 = 1.4; // times IPv4

// The most that a path may cost beyond an empty program: paths of the guard, and of packets at the
// client that are none of TRAP's.
constexpr struct {
  const char* path;
  double limit_ns;
} limits_over_empty[] = {{"guard-syn-bad-ticket", 40}, {"guard-syn-ticket", 260},
                         {"guard-syn-uninvited", 20},  {"guard-flow", 40},
                         {"client-egress-other", 30},  {"client-ingress-other", 30}};

// Compared within each round, in which the machine was equally fast for both; the median counts.
double median_ratio(const PathTime& one, const PathTime& other) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < one.rounds.size(); i++)
    ratios.push_back(one.rounds[i] / other.rounds[i]);
  return spread_of(ratios).median;
}

double median_difference(const PathTime& one, const PathTime& other) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < one.rounds.size(); i++)
    differences.push_back(one.rounds[i] - other.rounds[i]);
  return spread_of(differences).median;
}

void print_row(const std::vector<PathTime>& rows) {
  const PathTime& trap = rows.back();
  std::printf("%-34s ipv%d  %7.1f  (%6.1f to %6.1f)  %5.1fx", trap.experiment.c_str(), trap.family,
              trap.ns.median, trap.ns.min, trap.ns.max, median_ratio(trap, rows[0]));
  if (rows.size() > 2)
    std::printf("  %5.1fx", median_ratio(trap, rows[1]));
  std::printf("\n");
  std::fflush(stdout);
}

void add_lines(const std::vector<PathTime>& rows, Report& report) {
  const PathTime& floor = rows.size() > 2 ? rows[1] : rows[0];
  for (const PathTime& row : rows) {
    Line line{row.experiment,    row.responder, row.family,
              "time_per_packet", "ns",          row.ns.median,
              row.ns.min,        row.ns.max,    static_cast<int>(row.rounds.size())};
    if (&row == &rows.back()) {
      line.floor = floor.responder;
      line.ratio_to_floor = median_ratio(row, floor);
      line.more["over_empty_ns"] = median_difference(row, rows[0]);
    }
    report.add(std::move(line));
  }
}

void add_targets(Report& report) {
  for (const auto& [path, limit] : limits) {
    const Line* v4 = report.find(path, "trap", 4);
    const Line* v6 = report.find(path, "trap", 6);
    if (v4 == nullptr || v6 == nullptr)
      continue;
    for (const Line* line : {v4, v6})
      report.add(Target{fmt::format("{}, IPv{}: over XDP_TX", path, line->family),
                        *line->ratio_to_floor, Bound::at_most, limit, "x"});
    report.add(Target{fmt::format("{}: IPv6 over IPv4, each over XDP_TX", path),
                      *v6->ratio_to_floor / *v4->ratio_to_floor, Bound::at_most, limit_of_ipv6,
                      "x"});
  }
}

void add_targets_over_empty(Report& report) {
  for (const auto& [path, limit_ns] : limits_over_empty) {
    for (const int family : {4, 6}) {
      const Line* trap = report.find(path, "trap", family);
      if (trap != nullptr)
        report.add(Target{fmt::format("{}, IPv{}: over an empty program", path, family),
                          trap->more["over_empty_ns"].get<double>(), Bound::at_most, limit_ns,
                          "ns"});
    }
  }
}

// Those that are measured. A path that cannot be is refused.
std::vector<PathBench> load_benches(const std::vector<Path>& all, const std::string& only,
                                    Report& report) {
  std::vector<PathBench> benches;
  for (const Path& path : all) {
    if (path.name.find(only) == std::string::npos)
      continue;
    for (const int family : {4, 6}) {
      auto bench = PathBench::load(path, family);
      if (bench)
        benches.push_back(std::move(*bench));
      else
        report.refuse(fmt::format("{} ipv{}", path.name, family), bench.error().message);
    }
  }
  return benches;
}

} // namespace

void measure_paths(const PathEffort& effort, const std::string& only, Report& report) {
  const std::vector<Path> all = paths();
  std::vector<PathBench> benches = load_benches(all, only, report);
  if (benches.empty())
    return;
  for (int pass = 1; pass <= effort.passes; pass++) {
    std::printf("paths, pass %d of %d\n", pass, effort.passes);
    std::fflush(stdout);
    for (auto bench = benches.begin(); bench != benches.end();) {
      if (const auto ran = bench->run(effort); ran) {
        ++bench;
      } else {
        report.refuse(bench->name(), ran.error().message);
        bench = benches.erase(bench);
      }
    }
  }
  std::printf("%-34s %5s  %7s  %18s  %6s  %6s\n", "path", "", "ns", "min to max", "empty",
              "XDP_TX");
  for (PathBench& bench : benches) {
    const auto rows = bench.results();
    if (!rows) {
      report.refuse(bench.name(), rows.error().message);
      continue;
    }
    print_row(*rows);
    add_lines(*rows, report);
  }
  add_targets(report);
  add_targets_over_empty(report);
}

} // namespace trap::bench
