// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <cstdio>
#include <optional>

#include <fmt/format.h>

namespace trap::bench {
namespace {

// The most that a path may cost beyond sending a packet back unread. In nanoseconds: XDP_TX itself
// takes three times as long on some processors as on others, and a hash does not.
constexpr struct {
  const char* path;
  double limit_ns;
} limits[] = {{"server-syn", 150},
              {"server-serve-syn", 180},
              {"server-kernel-cookie-syn", 280},
              {"server-ack-invalid", 100},
              {"server-serve-ack-invalid", 100}};
constexpr double limit_of_ipv6 = 1.4; // times IPv4, XDP_TX included

// The most that a path may cost beyond an empty program: paths of the guard and of the client.
constexpr struct {
  const char* path;
  double limit_ns;
} limits_over_empty[] = {{"guard-syn-bad-ticket", 40},
                         {"guard-syn-ticket", 130},
                         {"guard-syn-uninvited", 20},
                         {"guard-flow", 30},
                         {"guard-no-flow", 130},
                         {"guard-leaving", 12},
                         {"client-egress-other", 15},
                         {"client-ingress-other", 15},
                         {"client-egress-translated", 170},
                         {"client-ingress-translated", 170}};

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
      line.more["over_floor_ns"] = median_difference(row, floor);
    }
    report.add(std::move(line));
  }
}

void add_targets(Report& report) {
  for (const auto& [path, limit_ns] : limits) {
    const Line* v4 = report.find(path, "trap", 4);
    const Line* v6 = report.find(path, "trap", 6);
    if (v4 == nullptr || v6 == nullptr)
      continue;
    for (const Line* line : {v4, v6})
      report.add(Target{fmt::format("{}, IPv{}: above XDP_TX", path, line->family),
                        line->more["over_floor_ns"].get<double>(), Bound::at_most, limit_ns, "ns"});
    report.add(Target{fmt::format("{}: IPv6 over IPv4", path), v6->value / v4->value,
                      Bound::at_most, limit_of_ipv6, "x"});
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

void add_rows(PathBench& bench, Report& report) {
  const auto rows = bench.results();
  if (!rows) {
    report.refuse(bench.name(), rows.error().message);
    return;
  }
  print_row(*rows);
  add_lines(*rows, report);
}

void print_head() {
  std::printf("%-34s %5s  %7s  %18s  %6s  %6s\n", "path", "", "ns", "min to max", "empty",
              "XDP_TX");
}

struct MeasuredPath {
  const Path* path;
  int family;
};

std::vector<MeasuredPath> measured_paths(const std::vector<Path>& all, const std::string& only) {
  std::vector<MeasuredPath> measured;
  for (const Path& path : all)
    if (path.name.find(only) != std::string::npos)
      for (const int family : {4, 6})
        measured.push_back({&path, family});
  return measured;
}

std::optional<PathBench> load_bench(const MeasuredPath& measured, TestedObject tested,
                                    Report& report) {
  auto bench = PathBench::load(*measured.path, measured.family, tested);
  if (bench)
    return std::move(*bench);
  report.refuse(fmt::format("{} ipv{}", measured.path->name, measured.family),
                bench.error().message);
  return std::nullopt;
}

bool ran(PathBench& bench, const PathEffort& effort, Report& report) {
  const auto result = bench.run(effort);
  if (!result)
    report.refuse(bench.name(), result.error().message);
  return static_cast<bool>(result);
}

// One pass, with one object for all paths of a part.
void measure_in_turn(const std::vector<MeasuredPath>& measured, const PathEffort& effort,
                     Report& report) {
  print_head();
  for (const MeasuredPath& path : measured) {
    auto bench = load_bench(path, TestedObject::shared, report);
    if (bench && ran(*bench, effort, report))
      add_rows(*bench, report);
  }
}

// Every path has its rounds in each pass.
void measure_in_passes(const std::vector<MeasuredPath>& measured, const PathEffort& effort,
                       Report& report) {
  std::vector<PathBench> benches;
  for (const MeasuredPath& path : measured)
    if (auto bench = load_bench(path, TestedObject::own, report))
      benches.push_back(std::move(*bench));
  for (int pass = 1; pass <= effort.passes; pass++) {
    std::printf("paths, pass %d of %d\n", pass, effort.passes);
    std::fflush(stdout);
    std::erase_if(benches, [&](PathBench& bench) { return !ran(bench, effort, report); });
  }
  print_head();
  for (PathBench& bench : benches)
    add_rows(bench, report);
}

} // namespace

void measure_paths(const PathEffort& effort, const std::string& only, Report& report) {
  const std::vector<Path> all = paths();
  const std::vector<MeasuredPath> measured = measured_paths(all, only);
  if (measured.empty())
    return;
  if (effort.passes == 1)
    measure_in_turn(measured, effort, report);
  else
    measure_in_passes(measured, effort, report);
  add_targets(report);
  add_targets_over_empty(report);
}

} // namespace trap::bench
