// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/flood.h"

#include <fmt/format.h>

#include "lab/hosts/process.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int flood_seconds_max = 60;
constexpr milliseconds flood_deadline{5000};
constexpr std::uint64_t packets_that_make_a_flood = 2000;

std::vector<std::string> hping_arguments(const FloodOrder& order, std::string_view address) {
  std::vector<std::string> arguments = {
      "hping3", "--quiet", "--rand-source", "-p", std::to_string(order.port), std::string{address}};
  arguments.insert(arguments.end(), order.hping.begin(), order.hping.end());
  return arguments;
}

std::vector<std::string> generator_arguments(const FloodOrder& order, std::string_view address) {
  const HostAddresses& attacker = addresses_of("attacker");
  std::vector<std::string> arguments = {(program_directory() / "trap-lab").string(),
                                        "flood",
                                        "eth0",
                                        text_of(attacker.mac()),
                                        text_of(attacker.router_mac()),
                                        std::string{address},
                                        std::to_string(order.port),
                                        std::string{name_of(order.kind)},
                                        std::to_string(flood_seconds_max)};
  if (order.many_sources)
    arguments.emplace_back("many");
  if (order.per_second > 0)
    arguments.push_back(std::to_string(order.per_second));
  return arguments;
}

} // namespace

std::string_view name_of(FloodKind kind) {
  switch (kind) {
  case FloodKind::syn:
    return "syn";
  case FloodKind::ack:
    return "ack";
  case FloodKind::rst:
    return "rst";
  case FloodKind::fin:
    return "fin";
  }
  return "";
}

Result<Flood> Flood::start(const Topology& topology, const FloodOrder& order) {
  const std::string_view address = addresses_of(order.victim).address(order.family);
  const bool with_hping = order.family == Family::ipv4 && order.kind == FloodKind::syn &&
                          !order.hardest && !order.many_sources && order.per_second == 0;
  auto process = Process::start(topology.host("attacker")
                                    .command(with_hping ? hping_arguments(order, address)
                                                        : generator_arguments(order, address)));
  if (!process)
    return process.error();
  Flood flood{topology.host(order.victim), std::move(*process)};
  if (auto begun = flood.wait_until_seen(); !begun)
    return begun.error();
  return flood;
}

Result<void> Flood::wait_until_seen() {
  const auto before = victim_->received_packets();
  if (!before)
    return before.error();
  for (const auto until = Clock::now() + scale_timeout(flood_deadline); Clock::now() < until;) {
    if (!sleep_for(milliseconds{20}))
      return Error{"interrupted"};
    const auto now = victim_->received_packets();
    if (now && *now >= *before + packets_that_make_a_flood) {
      packets_at_start_ = *now;
      start_ = Clock::now();
      return {};
    }
    if (!process_.running())
      break;
  }
  auto finished = process_.wait(milliseconds{0});
  return Error{"the flood never reached " + victim_->name() +
               (finished && !finished->errors.empty() ? ": " + finished->errors : "")};
}

Result<FloodSeen> Flood::seen() const {
  const auto now = victim_->received_packets();
  if (!now)
    return now.error();
  return FloodSeen{*now - packets_at_start_,
                   std::chrono::duration<double>(Clock::now() - start_).count()};
}

} // namespace trap::lab
