// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <chrono>
#include <cstdio>

#include <fmt/format.h>

#include "bench/comparison/responders.h"
#include "lab/hosts/files.h"

namespace trap::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int prefixes = 100'000;
constexpr int measured_rounds = 5;
constexpr double limit_s = 1;

// Different prefixes in each round, so that there is something to load.
std::string prefix_list(int count, int round) {
  std::string text = "# made by trap-bench\n";
  for (int i = 0; i < count; i++)
    text += fmt::format("{}.{}.{}.0/24\n", 20 + 2 * round + (i >> 16), i >> 8 & 255, i & 255);
  return text;
}

// Denied prefixes by trap-server's own account, for its first address; -1 if it gives none.
Result<int> denied_prefixes(const lab::Daemon& daemon) {
  const auto status = daemon.control({"status", "server", "--json"});
  if (!status)
    return status.error();
  const test::Json report = test::Json::parse(status->output, nullptr, false);
  const test::Json::json_pointer place{"/services/0/policies/deny"};
  return report.is_object() && report.contains(place) ? report[place].get<int>() : -1;
}

} // namespace

Result<void> measure_prefixes(ClosedLoop& loop, Report& report) {
  const auto on = loop.build_host("prefixes");
  if (!on)
    return on.error();
  const auto file = on->host.directory() / "denied.txt";
  if (auto written = lab::write_text(file, prefix_list(1, 0)); !written)
    return written;
  const auto daemon = start_trap_server(
      on->host,
      reset_service() +
          fmt::format("[[service.policy]]\naction = \"deny\"\nfile = \"{}\"\n", file.string()));
  if (!daemon)
    return daemon.error();
  std::vector<double> seconds;
  for (int round = 0; round < measured_rounds; round++) {
    if (auto written = lab::write_text(file, prefix_list(prefixes, round)); !written)
      return written;
    const auto begin = Clock::now();
    if (auto reloaded = (*daemon)->reload(); !reloaded)
      return reloaded;
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  const auto held = denied_prefixes(**daemon);
  if (!held)
    return held.error();
  if (*held != prefixes)
    return Error{fmt::format("trap-server reports {} of {} prefixes", *held, prefixes)};
  const Spread spread = spread_of(seconds);
  std::printf("reload with %d prefixes: %.3f s (%.3f to %.3f)\n", prefixes, spread.median,
              spread.min, spread.max);
  report.add(Line{"prefixes-100000", "trap-server", 0, "reload_time", "s", spread.median,
                  spread.min, spread.max, measured_rounds});
  report.add(Target{"100,000 prefixes loaded, by trapctl reload", spread.median, Bound::at_most,
                    limit_s, "s"});
  return {};
}

} // namespace trap::bench
