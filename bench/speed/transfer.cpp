// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/transfer.h"

#include <cstdio>
#include <fstream>
#include <map>

#include <unistd.h>

#include <fmt/format.h>

#include "bench/speed/path_bench.h"
#include "lab/deployment/configuration.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/process.h"
#include "tests/support/vectors.h"

namespace trap::bench {
namespace {

constexpr int attempts = 3;
constexpr std::chrono::milliseconds transfer_deadline{20000};

// Seconds that this machine's CPUs have been busy, in any context.
double busy_s() {
  std::ifstream stat{"/proc/stat"};
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0;
  stat >> name >> user >> nice >> system >> idle >> wait >> irq >> softirq;
  return (user + nice + system + irq + softirq) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Now and then iperf3's two ends disagree about which reports the sum, and it is 0.
Result<Transfer> transfer_once(const lab::Host& client, std::string_view address,
                               const Load& load) {
  std::vector<std::string> arguments = {"iperf3",     "--json",
                                        "--client",   std::string{address},
                                        "--port",     std::to_string(lab::speed_port),
                                        "--time",     "1",
                                        "--parallel", std::to_string(load.parallel),
                                        "--affinity", fmt::format("{},0", lab::last_cpu())};
  if (load.down)
    arguments.emplace_back("--reverse");
  const double busy = busy_s();
  const auto text = lab::run_checked(client.command(arguments), transfer_deadline);
  if (!text)
    return text.error();
  const double spent_s = busy_s() - busy;
  const test::Json said = test::Json::parse(*text, nullptr, false);
  const test::Json::json_pointer rate{"/end/sum_received/bits_per_second"},
      bytes{"/end/sum_received/bytes"};
  if (!said.is_object() || !said.contains(rate) || said[bytes].get<double>() <= 0)
    return Transfer{};
  return Transfer{said[rate].get<double>() / 1e6, spent_s * 1e9 / said[bytes].get<double>()};
}

} // namespace

std::string Load::text() const {
  return fmt::format("{} stream(s) {}, IPv{}", parallel, down ? "down" : "up",
                     static_cast<int>(family));
}

Result<Transfer> transfer(const lab::Host& client, std::string_view address, const Load& load) {
  for (int attempt = 0; attempt < attempts; attempt++)
    if (auto done = transfer_once(client, address, load); !done || done->megabits_per_s > 0)
      return done;
  return Error{
      fmt::format("iperf3 to {}, {}: measured nothing, {} times", address, load.text(), attempts)};
}

Result<void> compare_transfers(const ThroughputTarget& wanted, const Load& load, int rounds,
                               const std::function<Result<Transfer>(std::string_view)>& run,
                               Report& report) {
  std::map<std::string_view, std::vector<double>> rates, costs;
  std::vector<double> ratios;
  for (int round = 0; round < rounds; round++) {
    const bool turned = round % 2 != 0;
    for (const char* responder :
         {turned ? wanted.responder : wanted.floor, turned ? wanted.floor : wanted.responder}) {
      const auto done = run(responder);
      if (!done)
        return done.error();
      rates[responder].push_back(done->megabits_per_s);
      costs[responder].push_back(done->cpu_ns_per_byte);
    }
    ratios.push_back(rates[wanted.responder].back() / rates[wanted.floor].back());
  }
  const std::string name =
      fmt::format("{}-{}-{}", wanted.experiment, load.parallel, load.down ? "down" : "up");
  for (const char* responder : {wanted.floor, wanted.responder}) {
    const Spread rate = spread_of(rates[responder]), cost = spread_of(costs[responder]);
    const int family = static_cast<int>(load.family);
    report.add(Line{name, responder, family, "throughput", "Mbit/s", rate.median, rate.min,
                    rate.max, rounds});
    report.add(Line{name, responder, family, "cpu_per_byte", "ns", cost.median, cost.min, cost.max,
                    rounds});
    std::printf("%-24s  %-12s  %7.0f Mbit/s  (%.0f to %.0f)  %.3f ns of CPU a byte\n",
                load.text().c_str(), responder, rate.median, rate.min, rate.max, cost.median);
  }
  std::fflush(stdout);
  report.add(Target{fmt::format("{}: {} over {}", load.text(), wanted.responder, wanted.floor),
                    spread_of(ratios).median, Bound::at_least, wanted.least, "x"});
  return {};
}

Result<void> follow_without_consent(lab::Daemon& client) {
  if (auto written = client.configure("allow_private_targets = false\nrequire_consent = false\n");
      !written)
    return written;
  return client.reload();
}

} // namespace trap::bench
