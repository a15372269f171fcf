// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <sstream>

#include <fmt/format.h>

#include "bench/comparison/responders.h"
#include "bench/harness/proc.h"
#include "lab/hosts/process.h"
#include "runtime/fd.h"

namespace trap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int addresses = 1000;
constexpr int rounds = 5;
constexpr double most_calls = 3000;
constexpr std::size_t most_bytes = 64 * 1024; // of what strace writes

std::string service_with_addresses() {
  std::string text = "[[service]]\nname = \"many\"\nhealth = \"off\"\naddresses = [";
  for (int i = 0; i < addresses; i++)
    text += fmt::format("\"198.18.{}.{}:80\", ", i / 250, i % 250 + 1);
  return text + "]\n[[service.backend]]\naddress = \"198.51.100.20:80\"\nguard = \"web-1\"\n";
}

Result<double> scrape_ms(const lab::Host& host) {
  const auto begin = Clock::now();
  const std::string socket = (host.directory() / "server.sock").string();
  const auto text = lab::run_checked(
      {{"curl", "-sS", "--max-time", "60", "--unix-socket", socket, "http://trap/metrics"}}, 70s);
  if (!text)
    return text.error();
  int found = 0;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    found += line.starts_with("trap_service_active{");
  if (found != addresses)
    return Error{fmt::format("a scrape has {} of {} addresses", found, addresses)};
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// strace's table has the number of calls in its fourth column.
Result<double> calls_in(const std::string& table) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> columns;
    for (std::string word; words >> word;)
      columns.push_back(word);
    if (columns.size() >= 5 && columns.back() == "bpf")
      return std::stod(columns[3]);
  }
  return Error{"strace saw no bpf() call in a scrape"};
}

Result<void> wait_until_attached(const std::filesystem::path& log) {
  const auto deadline = Clock::now() + 10s;
  for (;;) {
    const auto said = read_file(log.string(), most_bytes, FileTrust::any);
    if (!said)
      return said.error();
    if (said->find("attached") != std::string::npos)
      return {};
    if (Clock::now() > deadline || !lab::sleep_for(50ms))
      return Error{"strace does not attach to trap-server"};
  }
}

// Includes the calls of the daemon's ticks meanwhile.
Result<double> calls_of_scrape(const lab::Host& host, pid_t daemon) {
  const auto table = host.directory() / "bpf-calls", log = host.directory() / "strace.log";
  auto strace = lab::Process::start({.arguments = {"strace", "-f", "-c", "-e", "trace=bpf", "-o",
                                                   table.string(), "-p", std::to_string(daemon)},
                                     .log = log});
  if (!strace)
    return strace.error();
  if (auto attached = wait_until_attached(log); !attached)
    return attached.error();
  if (auto scraped = scrape_ms(host); !scraped)
    return scraped;
  strace->stop(SIGINT, 10s);
  const auto text = read_file(table.string(), most_bytes, FileTrust::any);
  if (!text)
    return text.error();
  return calls_in(*text);
}

} // namespace

Result<void> measure_scrape(ClosedLoop& loop, Report& report) {
  const auto on = loop.build_host("scrape");
  if (!on)
    return on.error();
  const auto daemon = start_trap_server(on->host, service_with_addresses());
  if (!daemon)
    return daemon.error();
  std::vector<double> milliseconds;
  for (int round = 0; round < rounds; round++) {
    const auto took_ms = scrape_ms(on->host);
    if (!took_ms)
      return took_ms.error();
    milliseconds.push_back(*took_ms);
  }
  const Spread spread = spread_of(milliseconds);
  const auto pid = daemon_in(on->host);
  if (!pid)
    return pid.error();
  const auto counted = calls_of_scrape(on->host, *pid);
  if (!counted)
    return counted.error();
  const double calls = *counted;
  std::printf("scrape of %d addresses: %.0f bpf() calls, %.0f ms (%.0f to %.0f)\n", addresses,
              calls, spread.median, spread.min, spread.max);
  report.add(Line{"scrape", "trap-server", 0, "bpf-calls", "calls", calls, calls, calls});
  report.add(Line{"scrape", "trap-server", 0, "duration", "ms", spread.median, spread.min,
                  spread.max, rounds});
  report.add(Target{"scrape: bpf() calls with 1,000 addresses", calls, Bound::at_most, most_calls,
                    "calls"});
  return {};
}

} // namespace trap::bench
