// SPDX-License-Identifier: Apache-2.0
// trap-bench: the cost of a packet on each path of the three programs, the cost of TRAP for
// applications, the capacity of a core beside other defences, and the experiments of the paper.
// Prints tables and targets, and writes a report in JSON.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "bench/comparison/beside.h"
#include "bench/comparison/comparison.h"
#include "bench/experiments/experiments.h"
#include "bench/speed/measurements.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/session.h"
#include "runtime/output.h"
#include "runtime/result.h"
#include "runtime/version.h"
#include "tests/bpf/harness/object.h"

namespace trap::bench {
namespace {

using namespace std::chrono_literals;
using lab::Family;

struct Plan {
  PathEffort paths; // in each pass
  Measure loop;
  ClientEffort client;
  DownloadEffort downloads;
  AttackedDownloadEffort attacked_downloads;
  RisingAttackEffort rising_attack;
  DefenceStartEffort defence_start;
  ConnectionEffort connections;
  GrowthEffort growth;
  ScalingEffort scaling;
  int fleet_connections;
};

const Plan quick_plan = {{1, 20'000, 1},
                         {3, 40},
                         {50, 1, {16}, {Family::ipv6}},
                         {1},
                         {1, 400ms, 0.2, {Family::ipv6}},
                         {1, 200ms, 300ms, false, {300'000}, {Family::ipv4}},
                         {1, 300ms, false, {Family::ipv4}},
                         {100, 1},
                         {2, 20'000, false},
                         {1, 20'000, {4}},
                         20};
const Plan whole_plan = {{5, 100'000, 5},
                         {11, 200},
                         {1000, 9, {1, 16}, {Family::ipv4, Family::ipv6}},
                         {11},
                         {5, 4000ms, 0.8, {Family::ipv4, Family::ipv6}},
                         {5,
                          1000ms,
                          1000ms,
                          true,
                          {100'000, 300'000, 500'000, 1'000'000, 2'000'000, 3'000'000, 4'000'000},
                          {Family::ipv4, Family::ipv6}},
                         {5, 2000ms, true, {Family::ipv4, Family::ipv6}},
                         {5000, 5},
                         {7, 200'000, true},
                         {11, 100'000, {4, 6}},
                         200};

struct Options {
  bool quick = false;
  int rounds = 0; // of the experiments under attack; 0: as in the plan
  std::string output;
  std::string only;
  std::vector<std::string> beside; // FILE:PROGRAM
  std::string beside_prepare;
};

// Removes the hosts, whichever way the measurements end.
struct Cleaner {
  Cleaner() = default;
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;
  ~Cleaner() { lab::remove_all_hosts(); }
};

// A measurement that fails is refused; the others go on.
void attempt(const char* what, Report& report, const Result<void>& measured) {
  if (!measured)
    report.refuse(what, measured.error().message);
}

Result<std::vector<Responder>> guests_of(const Options& options) {
  std::vector<Responder> guests;
  for (const std::string& text : options.beside) {
    auto beside = parse_beside(text);
    if (!beside)
      return beside.error();
    beside->prepare = options.beside_prepare;
    guests.push_back(responder_beside(*beside));
  }
  return guests;
}

Result<void> measure_closed_loop(ClosedLoop& loop, const std::vector<Responder>& guests,
                                 const Measure& measure, Report& report) {
  auto comparison = Comparison::set_up(loop, guests, report);
  if (!comparison)
    return comparison.error();
  for (const FloodKind kind : {FloodKind::syn, FloodKind::ack_invalid, FloodKind::ack_valid,
                               FloodKind::syn_uninvited, FloodKind::syn_ticketed})
    for (const int family : {4, 6})
      if (auto ran = comparison->run({kind, family}, measure); !ran)
        return ran;
  return {};
}

// An error if there is no lab to measure in.
Result<void> measure_in_lab(const Options& options, const std::vector<Responder>& guests,
                            const Plan& plan, Report& report) {
  const auto wanted = [&](const char* name) {
    return std::string_view{name}.find(options.only) != std::string_view::npos;
  };
  const auto in_lab = {"closed-loop",   "memory",          "prefixes",        "client-speed",
                       "guard-speed",   "download",        "attack-download", "attack-rise",
                       "defence-start", "connection-time", "fleet",           "scrape"};
  if (std::ranges::none_of(in_lab, wanted))
    return {};
  const auto session = lab::Session::begin();
  if (!session)
    return session.error();
  const Cleaner cleaner;
  if (wanted("client-speed")) // before this process leaves the last CPU to the closed loop
    attempt("client-speed", report, measure_client(plan.client, report));
  if (wanted("guard-speed"))
    attempt("guard-speed", report, measure_guard(plan.client, report));
  if (wanted("download"))
    attempt("download", report, measure_downloads(plan.downloads, report));
  if (wanted("attack-download"))
    attempt("attack-download", report, measure_attacked_downloads(plan.attacked_downloads, report));
  if (wanted("attack-rise"))
    attempt("attack-rise", report, measure_rising_attack(plan.rising_attack, report));
  if (wanted("defence-start"))
    attempt("defence-start", report, measure_defence_start(plan.defence_start, report));
  if (wanted("connection-time"))
    attempt("connection-time", report, measure_connection_times(plan.connections, report));
  if (wanted("fleet"))
    attempt("fleet", report, measure_fleet(plan.fleet_connections, report));
  const auto pinned = lab::Pinned::to(0);
  if (!pinned)
    return pinned.error();
  const auto loop = ClosedLoop::build();
  if (!loop)
    return loop.error();
  if (wanted("closed-loop"))
    attempt("closed-loop", report, measure_closed_loop(**loop, guests, plan.loop, report));
  if (wanted("memory"))
    attempt("memory", report, measure_memory(**loop, report));
  if (wanted("prefixes"))
    attempt("prefixes", report, measure_prefixes(**loop, report));
  if (wanted("scrape"))
    attempt("scrape", report, measure_scrape(**loop, report));
  return {};
}

Result<ExitCode> measure_all(const Options& options) {
  Plan plan = options.quick ? quick_plan : whole_plan;
  if (options.rounds != 0)
    plan.attacked_downloads.rounds = plan.rising_attack.rounds = options.rounds;
  const auto guests = guests_of(options);
  if (!guests)
    return guests.error();
  Report report(options.quick);
  measure_paths(plan.paths, options.only, report);
  measure_growth(plan.growth, options.only, report);
  measure_scaling(plan.scaling, options.only, report);
  if (std::string_view{"churn"}.find(options.only) != std::string_view::npos)
    attempt("churn", report, measure_backend_churn(report));
  if (std::string_view{"memory-clients"}.find(options.only) != std::string_view::npos)
    attempt("memory-clients", report, measure_client_memory(options.quick, report));
  if (auto measured = measure_in_lab(options, *guests, plan, report); !measured)
    return measured.error();
  if (report.empty())
    return Error{"no measurement has \"" + options.only + "\" in its name: see trap-bench --help",
                 ExitCode::usage};
  report.print_targets();
  if (auto written = report.write(options.output); !written)
    return written.error();
  std::printf("report: %s\n", options.output.c_str());
  return report.refused() ? ExitCode::failed : ExitCode::ok;
}

ExitCode complain(const Error& error) {
  std::fprintf(stderr, "trap-bench: %s\n", error.message.c_str());
  return error.exit_code;
}

ExitCode run(int argc, char** argv) {
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
  Options options;
  options.output = (here.parent_path() / "bench" / "report.json").string();
  CLI::App app{"Measures the cost of TRAP's programs beside an empty program and XDP_TX, and the "
               "capacity of a core beside other defences."};
  app.add_flag("--quick", options.quick,
               "few packets: shows that it works; the figures mean little");
  app.add_option("--rounds", options.rounds,
                 "repetitions of the experiments under attack, which take most of the time")
      ->check(CLI::Range(1, 100));
  app.add_option("--output", options.output, "file of the report")->capture_default_str();
  app.add_option(
      "--only", options.only,
      "only measurements with this in their name: a path, client-speed, guard-speed, download, "
      "attack-download, attack-rise, defence-start, connection-time, closed-loop, fleet, growth, "
      "scaling, "
      "memory, churn, prefixes, scrape");
  app.add_option("--beside", options.beside,
                 "another XDP program in the closed loop beside TRAP; may be repeated")
      ->type_name("FILE:PROGRAM");
  app.add_option("--beside-prepare", options.beside_prepare,
                 "a shell command in the host of that program once it is loaded; its maps are "
                 "pinned in $MAPS")
      ->type_name("COMMAND");
  app.set_version_flag("--version", program_version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)
      return static_cast<ExitCode>(app.exit(error)); // --help, --version
    return complain({std::string{error.what()} + ": see trap-bench --help", ExitCode::usage});
  }
  if (geteuid() != 0)
    return complain({"it loads BPF programs, which needs root: run it as root"});
  test::keep_libbpf_quiet();
  const auto done = measure_all(options);
  return done ? *done : complain(done.error());
}

} // namespace
} // namespace trap::bench

int main(int argc, char** argv) {
  trap::prepare_to_write();
  try {
    return static_cast<int>(trap::bench::run(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "trap-bench: %s\n", error.what());
    return 1;
  }
}
