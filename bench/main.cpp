// SPDX-License-Identifier: Apache-2.0
// trap-bench: nanoseconds a packet for each path of the three programs, as a table and as a report in JSON.
#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "bench/measure.h"
#include "tests/bpf/object.h"

namespace trap::bench {
namespace {

using test::Json;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name"))
      return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

Json report_of(const std::vector<Result>& results) {
  utsname system{};
  uname(&system);
  Json list = Json::array();
  const auto rounded = [](double ns) { return std::round(ns * 10) / 10; };
  for (const Result& r : results) {
    list.push_back({{"experiment", r.experiment},
                    {"contender", r.contender},
                    {"family", r.family == 4 ? "ipv4" : "ipv6"},
                    {"metric", "time_per_packet"},
                    {"value", rounded(r.median_ns)},
                    {"min", rounded(r.min_ns)},
                    {"max", rounded(r.max_ns)},
                    {"runs", r.runs},
                    {"unit", "ns"}});
  }
  return {{"machine", {{"cpu", cpu_model()}, {"cpus", sysconf(_SC_NPROCESSORS_ONLN)}}},
          {"kernel", std::string(system.release)},
          {"versions", {{"trap", TRAP_VERSION_STRING}, {"libbpf", libbpf_version_string()}, {"compiler", __VERSION__}}},
          {"method",
           "BPF_PROG_TEST_RUN of a program that restores the frame and tail-calls the contender, less the same with an empty program "
           "in the same round, plus the empty program by itself; CPU time of the thread"},
          {"results", list}};
}

void print_row(const std::vector<Result>& rows) {
  const Result& trap = rows.back();
  std::printf("%-28s ipv%d  %7.1f  (%6.1f to %6.1f)  %5.1fx", trap.experiment.c_str(), trap.family, trap.median_ns, trap.min_ns,
              trap.max_ns, trap.median_ns / rows[0].median_ns);
  if (rows.size() > 2)
    std::printf("  %5.1fx", trap.median_ns / rows[1].median_ns);
  std::printf("\n");
  std::fflush(stdout);
}

std::vector<Result> measure_all(const Effort& effort, const std::string& only) {
  std::vector<Result> results;
  std::printf("%-28s %5s  %7s  %18s  %6s  %6s\n", "path", "", "ns", "min to max", "empty", "XDP_TX");
  for (const Experiment& experiment : experiments()) {
    if (experiment.name.find(only) == std::string::npos)
      continue;
    for (const int family : {4, 6}) {
      const std::vector<Result> rows = measure(experiment, family, effort);
      print_row(rows);
      results.insert(results.end(), rows.begin(), rows.end());
    }
  }
  return results;
}

bool write_report(const std::string& path, const std::vector<Result>& results) {
  std::error_code ignored;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty())
    std::filesystem::create_directories(folder, ignored);
  std::ofstream file(path);
  file << report_of(results).dump(1) << '\n';
  file.close();
  return !file.fail();
}

int run(int argc, char** argv) {
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
  std::string output = (here.parent_path() / "bench" / "report.json").string();
  std::string only;
  bool quick = false;
  CLI::App app{"Nanoseconds a packet for each path of TRAP's programs, beside an empty program and an XDP_TX floor."};
  app.add_flag("--quick", quick, "few packets: shows that it works, measures little");
  app.add_option("--output", output, "where the report goes")->capture_default_str();
  app.add_option("--only", only, "only paths whose names contain this");
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
  const std::vector<Result> results = measure_all(quick ? Effort{3, 20'000} : Effort{11, 200'000}, only);
  if (!write_report(output, results)) {
    std::fprintf(stderr, "trap-bench: cannot write %s; choose another place with --output\n", output.c_str());
    return 1;
  }
  std::printf("report: %s\n", output.c_str());
  return 0;
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
