// SPDX-License-Identifier: Apache-2.0
#include "bench/transfer.h"

#include <fstream>

#include <unistd.h>

#include <fmt/format.h>

#include "bench/must.h"
#include "lab/configuration.h"
#include "lab/process.h"
#include "tests/support/vectors.h"

namespace trap::bench {
namespace {

constexpr int attempts = 3;
constexpr std::chrono::milliseconds transfer_deadline{20000};

// Seconds of CPU that this machine has been busy, in whatever context.
double busy_s() {
  std::ifstream stat{"/proc/stat"};
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0;
  stat >> name >> user >> nice >> system >> idle >> wait >> irq >> softirq;
  return (user + nice + system + irq + softirq) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Now and then iperf3's two ends disagree about who reports the sum, and it says 0.
Transfer transfer_once(const lab::Host& client, std::string_view address, int parallel, bool down) {
  std::vector<std::string> arguments = {
      "iperf3", "--json", "--client",   std::string{address},    "--port", std::to_string(lab::speed_port),
      "--time", "1",      "--parallel", std::to_string(parallel)};
  if (down)
    arguments.emplace_back("--reverse");
  const double busy = busy_s();
  const std::string text = must(lab::run_checked(client.command(arguments), transfer_deadline));
  const double spent_s = busy_s() - busy;
  const test::Json said = test::Json::parse(text, nullptr, false);
  const test::Json::json_pointer rate{"/end/sum_received/bits_per_second"}, bytes{"/end/sum_received/bytes"};
  if (!said.is_object() || !said.contains(rate) || said[bytes].get<double>() <= 0)
    return {};
  return {said[rate].get<double>() / 1e6, spent_s * 1e9 / said[bytes].get<double>()};
}

} // namespace

Transfer transfer(const lab::Host& client, std::string_view address, int parallel, bool down) {
  for (int attempt = 0; attempt < attempts; attempt++)
    if (const Transfer done = transfer_once(client, address, parallel, down); done.megabits_per_s > 0)
      return done;
  throw std::runtime_error(fmt::format("iperf3 to {}, {} stream(s): measured nothing, {} times", address, parallel, attempts));
}

} // namespace trap::bench
