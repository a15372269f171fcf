// SPDX-License-Identifier: Apache-2.0
// trap-bench: what a packet costs in each path of the three programs, what applications notice of the client's module, what throughput the
// guard costs, what a core answers in a closed loop beside other defences, and what a flood, a backend's end and a long list of prefixes
// do. A table, the targets, and a report in JSON.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "bench/client_speed.h"
#include "bench/contest.h"
#include "bench/guard_speed.h"
#include "bench/memory.h"
#include "bench/movement.h"
#include "bench/must.h"
#include "bench/prefixes.h"
#include "bench/speed.h"
#include "lab/session.h"
#include "tests/bpf/object.h"

namespace trap::bench {
namespace {

struct Plan {
  Effort paths; // in each pass
  Measure loop;
  ClientEffort client;
};

constexpr Plan quick_plan = {{1, 20'000}, {3, 40}, {50, 1}};
constexpr Plan whole_plan = {{5, 100'000}, {11, 200}, {1000, 7}};

struct Options {
  bool quick = false;
  std::string output;
  std::string only;
};

// Removes the hosts whatever happens.
struct Cleaner {
  Cleaner() = default;
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;
  ~Cleaner() { lab::remove_all_hosts(); }
};

// A part whose set-up fails is refused; the others go on.
template <typename Measurement> void attempt(const char* what, Report& report, const Measurement& measurement) {
  try {
    measurement();
  } catch (const std::runtime_error& error) {
    report.refuse(what, error.what());
  }
}

void measure_in_lab(const Options& options, const Plan& plan, Report& report) {
  const auto wanted = [&](const char* name) { return std::string_view{name}.find(options.only) != std::string_view::npos; };
  if (!wanted("closed-loop") && !wanted("memory") && !wanted("prefixes") && !wanted("client-speed") && !wanted("guard-speed"))
    return;
  const lab::Session session = must(lab::Session::begin());
  const Cleaner cleaner;
  if (wanted("client-speed")) // before this process leaves a CPU to the closed loop
    attempt("client-speed", report, [&] { measure_client(plan.client, report); });
  if (wanted("guard-speed"))
    attempt("guard-speed", report, [&] { measure_guard(plan.client.transfers, report); });
  leave_measured_cpu();
  ClosedLoop loop;
  if (wanted("closed-loop"))
    attempt("closed-loop", report, [&] {
      Contest contest(loop, report);
      for (const FloodKind kind : {FloodKind::syn, FloodKind::ack})
        for (const int family : {4, 6})
          contest.hold({kind, family}, plan.loop);
    });
  if (wanted("memory"))
    attempt("memory", report, [&] { measure_memory(loop, report); });
  if (wanted("prefixes"))
    attempt("prefixes", report, [&] { measure_prefixes(loop, report); });
}

int measure_all(const Options& options) {
  const Plan plan = options.quick ? quick_plan : whole_plan;
  Report report;
  measure_paths(plan.paths, options.only, report);
  if (std::string_view{"movement"}.find(options.only) != std::string_view::npos)
    measure_movement(report);
  measure_in_lab(options, plan, report);
  report.print_targets();
  if (!report.write(options.output)) {
    std::fprintf(stderr, "trap-bench: cannot write %s; choose another place with --output\n", options.output.c_str());
    return 1;
  }
  std::printf("report: %s\n", options.output.c_str());
  return report.refused() ? 1 : 0;
}

int run(int argc, char** argv) {
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
  Options options;
  options.output = (here.parent_path() / "bench" / "report.json").string();
  CLI::App app{"What TRAP's programs cost a packet, beside an empty program and XDP_TX, and what a core answers beside other defences."};
  app.add_flag("--quick", options.quick, "few packets: shows that it works, measures little");
  app.add_option("--output", options.output, "where the report goes")->capture_default_str();
  app.add_option("--only", options.only,
                 "only what has this in its name: a path, client-speed, guard-speed, closed-loop, memory, movement, prefixes");
  app.set_version_flag("--version", TRAP_VERSION_STRING);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)
      return app.exit(error); // --help, --version
    std::fprintf(stderr, "trap-bench: %s: see trap-bench --help\n", error.what());
    return 2;
  }
  if (geteuid() != 0) {
    std::fprintf(stderr, "trap-bench: loads BPF programs, which needs root; run it as root\n");
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
