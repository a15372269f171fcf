// SPDX-License-Identifier: Apache-2.0
// trap-bench: the cost of a packet on each path of the three programs, the cost of TRAP for
// applications, the capacity of a core beside other defences, and the experiments of the paper.
// Prints tables and targets, and writes a report in JSON.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "bench/comparison/comparison.h"
#include "bench/experiments/experiments.h"
#include "bench/harness/pinned.h"
#include "bench/harness/value_or_throw.h"
#include "bench/speed/measurements.h"
#include "lab/hosts/session.h"
#include "runtime/version.h"
#include "tests/bpf/harness/object.h"

namespace trap::bench {
namespace {

using namespace std::chrono_literals;

struct Plan {
  PathEffort paths; // in each pass
  Measure loop;
  ClientEffort client;
  DownloadEffort downloads;
  AttackedDownloadEffort attacked_downloads;
  RisingAttackEffort rising_attack;
  ConnectionEffort connections;
  GrowthEffort growth;
  int fleet_connections;
};

const Plan quick_plan = {{1, 20'000, 1},
                         {3, 40},
                         {50, 1, {16}},
                         {1},
                         {1, 400ms, 0.2},
                         {1, 200ms, 400ms, 0.2, {10'000}},
                         {100, 1},
                         {2, 20'000, false},
                         20};
const Plan whole_plan = {
    {5, 100'000, 5},
    {11, 200},
    {1000, 9, {1, 16}},
    {11},
    {5, 4000ms, 0.8},
    {3, 1000ms, 1500ms, 0.8, {10'000, 20'000, 50'000, 100'000, 200'000, 500'000}},
    {5000, 5},
    {7, 200'000, true},
    200};

struct Options {
  bool quick = false;
  std::string output;
  std::string only;
};

// Removes the hosts, also after an exception.
struct Cleaner {
  Cleaner() = default;
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;
  ~Cleaner() { lab::remove_all_hosts(); }
};

// A measurement that fails is refused; the others go on.
template <typename Measurement>
void attempt(const char* what, Report& report, const Measurement& measurement) {
  try {
    measurement();
  } catch (const std::runtime_error& error) {
    report.refuse(what, error.what());
  }
}

void measure_in_lab(const Options& options, const Plan& plan, Report& report) {
  const auto wanted = [&](const char* name) {
    return std::string_view{name}.find(options.only) != std::string_view::npos;
  };
  const auto in_lab = {"closed-loop",     "memory",   "prefixes",        "client-speed",
                       "guard-speed",     "download", "attack-download", "attack-rise",
                       "connection-time", "fleet",    "scrape"};
  if (std::ranges::none_of(in_lab, wanted))
    return;
  const lab::Session session = value_or_throw(lab::Session::begin());
  const Cleaner cleaner;
  if (wanted("client-speed")) // before this process leaves the last CPU to the closed loop
    attempt("client-speed", report, [&] { measure_client(plan.client, report); });
  if (wanted("guard-speed"))
    attempt("guard-speed", report,
            [&] { measure_guard(plan.client.transfers, plan.client.streams, report); });
  if (wanted("download"))
    attempt("download", report, [&] { measure_downloads(plan.downloads, report); });
  if (wanted("attack-download"))
    attempt("attack-download", report,
            [&] { measure_attacked_downloads(plan.attacked_downloads, report); });
  if (wanted("attack-rise"))
    attempt("attack-rise", report, [&] { measure_rising_attack(plan.rising_attack, report); });
  if (wanted("connection-time"))
    attempt("connection-time", report, [&] { measure_connection_times(plan.connections, report); });
  if (wanted("fleet"))
    attempt("fleet", report, [&] { measure_fleet(plan.fleet_connections, report); });
  const Pinned pinned{0};
  ClosedLoop loop;
  if (wanted("closed-loop"))
    attempt("closed-loop", report, [&] {
      Comparison comparison(loop, report);
      for (const FloodKind kind : {FloodKind::syn, FloodKind::ack_invalid, FloodKind::ack_valid,
                                   FloodKind::syn_uninvited, FloodKind::syn_ticketed})
        for (const int family : {4, 6})
          comparison.run({kind, family}, plan.loop);
    });
  if (wanted("memory"))
    attempt("memory", report, [&] { measure_memory(loop, report); });
  if (wanted("prefixes"))
    attempt("prefixes", report, [&] { measure_prefixes(loop, report); });
  if (wanted("scrape"))
    attempt("scrape", report, [&] { measure_scrape(loop, report); });
}

int measure_all(const Options& options) {
  const Plan plan = options.quick ? quick_plan : whole_plan;
  Report report(options.quick);
  measure_paths(plan.paths, options.only, report);
  measure_growth(plan.growth, options.only, report);
  if (std::string_view{"churn"}.find(options.only) != std::string_view::npos)
    measure_backend_churn(report);
  measure_in_lab(options, plan, report);
  if (report.empty()) {
    std::fprintf(stderr,
                 "trap-bench: no measurement has \"%s\" in its name: see trap-bench --help\n",
                 options.only.c_str());
    return 2;
  }
  report.print_targets();
  if (!report.write(options.output)) {
    std::fprintf(stderr, "trap-bench: cannot write %s; choose another place with --output\n",
                 options.output.c_str());
    return 1;
  }
  std::printf("report: %s\n", options.output.c_str());
  return report.refused() ? 1 : 0;
}

int run(int argc, char** argv) {
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
  Options options;
  options.output = (here.parent_path() / "bench" / "report.json").string();
  CLI::App app{"Measures the cost of TRAP's programs beside an empty program and XDP_TX, and the "
               "capacity of a core beside other defences."};
  app.add_flag("--quick", options.quick,
               "few packets: shows that it works; the figures mean little");
  app.add_option("--output", options.output, "file of the report")->capture_default_str();
  app.add_option(
      "--only", options.only,
      "only measurements with this in their name: a path, client-speed, guard-speed, download, "
      "attack-download, attack-rise, connection-time, closed-loop, fleet, growth, "
      "memory, churn, prefixes, scrape");
  app.set_version_flag("--version", program_version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)
      return app.exit(error); // --help, --version
    std::fprintf(stderr, "trap-bench: %s: see trap-bench --help\n", error.what());
    return 2;
  }
  if (geteuid() != 0) {
    std::fprintf(stderr, "trap-bench: it loads BPF programs, which needs root: run it as root\n");
    return 1;
  }
  test::keep_libbpf_quiet();
  return measure_all(options);
}

} // namespace
} // namespace trap::bench

int main(int argc, char** argv) {
  try {
    return trap::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "trap-bench: %s\n", error.what());
    return 1;
  }
}
