// SPDX-License-Identifier: Apache-2.0
#include "bench/report/report.h"
#include "runtime/version.h"
#include "runtime/whole_file.h"

#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

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

// "spectre_v2: Mitigation: ..." by name, of what affects this processor; none is an empty object.
Json mitigations() {
  Json json = Json::object();
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator("/sys/devices/system/cpu/vulnerabilities", ignored)) {
    std::string state;
    if (std::getline(std::ifstream{entry.path()}, state) && state != "Not affected")
      json[entry.path().filename().string()] = state;
  }
  return json;
}

// Of the first CPU while this is asked, as the kernel shows it; 0 if it does not.
double frequency_mhz() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("cpu MHz"))
      return std::strtod(line.c_str() + line.find(':') + 1, nullptr);
  return 0;
}

double memory_gib() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) /
         (1 << 30);
}

// The first line of a program's version, up to a parenthesis; empty if there is no such program.
std::string version_of(const std::string& command) {
  std::FILE* output = popen((command + " 2>&1").c_str(), "r");
  if (output == nullptr)
    return "";
  char line[128] = "";
  const bool said = std::fgets(line, sizeof line, output) != nullptr;
  if (pclose(output) != 0 || !said)
    return "";
  std::string text{line};
  return text.substr(0, std::min(text.find('\n'), text.find(" (")));
}

// TRAP, its build, the other defences and the attackers.
Json versions() {
  Json json = {
      {"trap", program_version}, {"libbpf", libbpf_version_string()}, {"compiler", __VERSION__}};
  for (const auto& [name, command] : {std::pair{"nftables", "nft --version"},
                                      {"iptables", "iptables-legacy --version"},
                                      {"hping3", "hping3 --version"},
                                      {"nginx", "nginx -v"},
                                      {"haproxy", "haproxy -v"},
                                      {"curl", "curl --version"}})
    if (const std::string version = version_of(command); !version.empty())
      json[name] = version;
  return json;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16] = "";
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

// No figure is exact to more than four digits.
double rounded(double value) {
  if (value == 0)
    return 0;
  const double scale = std::pow(10, 3 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

Json json_of(const Line& line) {
  Json json = {{"experiment", line.experiment}, {"responder", line.responder},
               {"metric", line.metric},         {"unit", line.unit},
               {"value", rounded(line.value)},  {"min", rounded(line.min)},
               {"max", rounded(line.max)},      {"runs", line.runs}};
  if (line.family != 0)
    json["family"] = line.family == 4 ? "ipv4" : "ipv6";
  if (line.ratio_to_floor) {
    json["floor"] = line.floor;
    json["ratio_to_floor"] = rounded(*line.ratio_to_floor);
  }
  json.update(line.more);
  return json;
}

Json json_of(const Target& target) {
  return {{"name", target.name},
          {"value", rounded(target.value)},
          {"target", {{target.bound == Bound::at_least ? "at_least" : "at_most", target.limit}}},
          {"unit", target.unit},
          {"met", target.met()}};
}

Json json_of(const std::vector<std::pair<std::string, std::string>>& list) {
  Json json = Json::array();
  for (const auto& [what, why] : list)
    json.push_back({{"what", what}, {"why", why}});
  return json;
}

} // namespace

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  return {values[values.size() / 2], values.front(), values.back()};
}

double percentile(std::vector<double> values, int percent) {
  std::ranges::sort(values);
  const auto rank =
      static_cast<std::size_t>(std::ceil(static_cast<double>(values.size()) * percent / 100));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

void Report::skip(const std::string& what, const std::string& why) {
  std::printf("skipped: %s: %s\n", what.c_str(), why.c_str());
  skips_.emplace_back(what, why);
}

void Report::refuse(const std::string& what, const std::string& why) {
  std::printf("refused: %s: %s\n", what.c_str(), why.c_str());
  refusals_.emplace_back(what, why);
}

void Report::doubt(const std::string& what, const std::string& why) {
  if (!quick_)
    return refuse(what, why);
  std::printf("doubtful: %s: %s\n", what.c_str(), why.c_str());
}

const Line* Report::find(const std::string& experiment, const std::string& responder,
                         int family) const {
  const auto found = std::ranges::find_if(lines_, [&](const Line& line) {
    return line.experiment == experiment && line.responder == responder && line.family == family;
  });
  return found == lines_.end() ? nullptr : &*found;
}

void Report::print_targets() const {
  if (targets_.empty())
    return;
  std::printf("\n%-58s %10s  %13s\n", "target", "measured", "wanted");
  for (const Target& target : targets_)
    std::printf("%-58s %8.2f %-2s %s %8.2f %-2s %s\n", target.name.c_str(), target.value,
                target.unit.c_str(), target.bound == Bound::at_least ? ">=" : "<=", target.limit,
                target.unit.c_str(), target.met() ? "met" : "MISSED");
  const auto met = std::ranges::count_if(targets_, &Target::met);
  std::printf("%d of %zu targets met", static_cast<int>(met), targets_.size());
  std::printf(refusals_.empty() ? "\n" : "; %zu measurements refused\n", refusals_.size());
}

Json Report::json() const {
  utsname system{};
  uname(&system);
  Json results = Json::array(), targets = Json::array();
  for (const Line& line : lines_)
    results.push_back(json_of(line));
  for (const Target& target : targets_)
    targets.push_back(json_of(target));
  return {{"date", today()},
          {"quick", quick_},
          {"machine",
           {{"cpu", cpu_model()},
            {"cpus", sysconf(_SC_NPROCESSORS_ONLN)},
            {"frequency_mhz", rounded(frequency_mhz())},
            {"mitigations", mitigations()},
            {"memory_gib", rounded(memory_gib())}}},
          {"kernel", std::string(system.release, std::strspn(system.release, "0123456789."))},
          {"versions", versions()},
          {"method",
           {{"time_per_packet",
             "BPF_PROG_TEST_RUN of a program that restores the frame and tail-calls the responder, "
             "less the same with an empty program in "
             "the same round, plus the empty program by itself; CPU time of the thread"},
            {"packets_per_second", "closed loop on one core: live frames of BPF_PROG_TEST_RUN into "
                                   "a veth, the responder behind it in a network namespace, its "
                                   "answers counted by XDP where the frames came from; by the "
                                   "core's time for all of it, responders in turns"},
            {"growth", "as time_per_packet, less the empty program: each packet is of a member "
                       "drawn at random from all"}}},
          {"results", results},
          {"targets", targets},
          {"skipped", json_of(skips_)},
          {"refused", json_of(refusals_)}};
}

Result<void> Report::write(const std::string& path) const {
  std::error_code ignored;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty())
    std::filesystem::create_directories(folder, ignored);
  constexpr mode_t usual = 0666;
  if (auto written = replace_file(path, json().dump(1) + "\n", usual); !written)
    return Error{written.error().message + "; choose another place with --output"};
  return {};
}

} // namespace trap::bench
