// SPDX-License-Identifier: Apache-2.0
#include "bench/comparison/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "bench/comparison/checks.h"
#include "bench/harness/credentials.h"
#include "lab/hosts/interrupt.h"

namespace trap::bench {
namespace {

constexpr std::uint64_t warm_up_packets = 20'000;
constexpr std::uint64_t packets_least = 20'000, packets_most = 10'000'000;
// The generator must leave the responder the greater part of the time, or the loop would measure
// the generator.
constexpr double clearly_faster = 1.2;

// The least rate of a part of TRAP, as a multiple of another responder's.
constexpr struct {
  FloodKind kind;
  const char* trap;
  const char* other;
  double limit;
} limits[] = {{FloodKind::syn, "trap-reset", "nft-synproxy", 5},
              {FloodKind::syn, "trap-reset", "kernel-cookies", 5},
              {FloodKind::syn, "trap-serve", "nft-synproxy", 5},
              {FloodKind::syn, "trap-serve", "kernel-cookies", 5},
              {FloodKind::syn, "trap-serve-tc", "kernel-cookies", 2.5}};

// The most nanoseconds of the core that a packet may take beyond a floor. Not a ratio: floors
// differ by processor more than what TRAP adds to them.
constexpr struct {
  FloodKind kind;
  const char* trap;
  const char* floor;
  double limit_ns;
} limits_over_floors[] = {{FloodKind::syn, "trap-reset", "xdp-tx", 160},
                          {FloodKind::syn, "trap-serve", "xdp-tx", 160},
                          {FloodKind::syn, "trap-serve-tc", "tc-tx", 300},
                          {FloodKind::syn_uninvited, "trap-guard", "xdp-drop", 60},
                          {FloodKind::ack_valid, "trap-reset", "xdp-tx", 700},
                          {FloodKind::syn_ticketed, "trap-guard", "xdp-pass", 700}};

std::string experiment_of(const Flood& flood) {
  switch (flood.kind) {
  case FloodKind::syn:
    return "closed-loop-syn";
  case FloodKind::ack_invalid:
    return "closed-loop-ack-invalid";
  case FloodKind::ack_valid:
    return "closed-loop-ack-valid";
  case FloodKind::syn_uninvited:
    return "closed-loop-syn-uninvited";
  case FloodKind::syn_ticketed:
    return "closed-loop-syn-ticketed";
  }
  return "";
}

// The responder that the others are compared with.
std::string floor_of(FloodKind kind) {
  if (kind == FloodKind::syn || kind == FloodKind::ack_valid)
    return "xdp-tx";
  return kind == FloodKind::syn_ticketed ? "xdp-pass" : "xdp-drop";
}

bool takes_part(const Responder& responder, const Flood& flood) {
  return responder.expected.contains(flood.kind) &&
         (flood.family == 4 || responder.why_not_ipv6.empty());
}

// Packets per second: those answered, or those sent if silence is right.
double rate_of(const LoopRun& run, const Responder& responder, FloodKind kind) {
  const bool silent = responder.expected.at(kind).answer == TRAP_FLOOD_OTHER;
  return static_cast<double>(silent ? run.sent : answers_of(run, responder, kind)) / run.core_ns *
         1e9;
}

Line line_of(const Flood& flood, const Responder& responder, const std::vector<LoopRun>& runs) {
  std::vector<double> rates, offered, shares;
  for (const LoopRun& run : runs) {
    rates.push_back(rate_of(run, responder, flood.kind));
    offered.push_back(static_cast<double>(run.sent) / run.core_ns * 1e9);
    shares.push_back(std::min(1.0, run.core_ns / run.wall_ns));
  }
  const Spread rate = spread_of(rates);
  Line line{experiment_of(flood), responder.name, flood.family, "packets_per_second",         "1/s",
            rate.median,          rate.min,       rate.max,     static_cast<int>(runs.size())};
  line.more = {{"offered_per_second", std::round(spread_of(offered).median)},
               {"ns_per_packet", std::round(1e10 / rate.median) / 10},
               {"core_share", std::round(spread_of(shares).median * 100) / 100}};
  return line;
}

void print(const Line& line, const Line* drop) {
  std::printf("%-34s ipv%d  %-18s %8.3f M/s  %7.1f ns", line.experiment.c_str(), line.family,
              line.responder.c_str(), line.value / 1e6, 1e9 / line.value);
  if (drop != nullptr)
    std::printf("  %7.1f above xdp-drop", 1e9 / line.value - 1e9 / drop->value);
  if (line.ratio_to_floor)
    std::printf("  %6.3fx %s", *line.ratio_to_floor, line.floor.c_str());
  std::printf("\n");
  std::fflush(stdout);
}

} // namespace

Result<Comparison> Comparison::set_up(ClosedLoop& loop, const std::vector<Responder>& guests,
                                      Report& report) {
  Comparison comparison{loop, report};
  std::vector<Responder> all = responders();
  all.insert(all.end(), guests.begin(), guests.end());
  for (const Responder& responder : all)
    if (auto done = comparison.set_up_one(responder); !done)
      return done.error();
  return comparison;
}

Result<void> Comparison::set_up_one(const Responder& responder) {
  std::printf("setting up %s\n", responder.name.c_str());
  auto on = loop_.build_host(responder.name);
  if (!on)
    return on.error();
  Entry& made = entries_.emplace_back(Entry{responder, std::move(*on), {}, {}, 0});
  auto equipment = responder.equip(made.on);
  if (equipment) {
    made.equipment = std::move(*equipment);
    return {};
  }
  if (responder.role == Role::guest)
    return equipment.error();
  if (responder.role == Role::peer)
    report_.skip(responder.name, equipment.error().message);
  else
    report_.refuse(responder.name, equipment.error().message);
  entries_.pop_back();
  return {};
}

// The clients of this flood get credentials made with the responder's own keys.
Result<void> Comparison::give_credentials(const Flood& flood) {
  const bool cookies = flood.kind == FloodKind::ack_valid;
  if (!cookies && flood.kind != FloodKind::syn_ticketed)
    return {};
  const std::string name = cookies ? "trap-reset" : "trap-guard";
  const auto one =
      std::ranges::find(entries_, name, [](const Entry& entry) { return entry.responder.name; });
  if (one == entries_.end())
    return Error{"no keys for credentials: " + name + " does not take part"};
  const auto credentials =
      cookies ? cookies_of(one->on.host, flood.family) : tickets_of(one->on.host, flood.family);
  if (!credentials)
    return credentials.error();
  return loop_.set_credentials(*credentials);
}

Result<void> Comparison::run_rounds(const Flood& flood, const Measure& measure) {
  std::vector<std::uint64_t> packets;
  for (Entry& one : entries_) {
    one.runs.clear();
    one.sent = 0;
    packets.push_back(0);
    if (!takes_part(one.responder, flood))
      continue;
    const auto first = loop_.run(one.on, flood, warm_up_packets);
    if (!first)
      return first.error();
    one.sent += first->sent_in_all;
    const double each_ns = first->core_ns / static_cast<double>(first->sent);
    packets.back() = std::clamp(static_cast<std::uint64_t>(measure.run_ms * 1e6 / each_ns),
                                packets_least, packets_most);
  }
  for (int round = 0; round < measure.rounds; round++) {
    auto count = packets.begin();
    for (Entry& one : entries_) {
      if (lab::interrupted())
        return Error{"interrupted"};
      const std::uint64_t wanted = *count++;
      if (wanted == 0)
        continue;
      const auto run = loop_.run(one.on, flood, wanted);
      if (!run)
        return run.error();
      one.runs.push_back(*run);
      one.sent += run->sent_in_all;
    }
  }
  return {};
}

void Comparison::judge(const Flood& flood) {
  const std::string experiment = experiment_of(flood);
  for (const Entry& one : entries_) {
    if (!one.responder.expected.contains(flood.kind))
      continue;
    if (one.runs.empty()) {
      report_.skip(fmt::format("{} ipv{} {}", experiment, flood.family, one.responder.name),
                   one.responder.why_not_ipv6);
      continue;
    }
    std::string fault;
    for (const LoopRun& run : one.runs)
      if (fault.empty())
        fault = fault_of(run, one.responder, flood.kind);
    if (!fault.empty()) {
      const std::string what =
          fmt::format("{} ipv{} {}", experiment, flood.family, one.responder.name);
      if (one.responder.role == Role::guest)
        report_.skip(what, fault);
      else
        report_.refuse(what, fault);
      continue;
    }
    Line line = line_of(flood, one.responder, one.runs);
    const std::string floor = floor_of(flood.kind);
    const Line* below = report_.find(experiment, floor, flood.family);
    if (below != nullptr) {
      line.floor = floor;
      line.ratio_to_floor = line.value / below->value;
    }
    print(line, report_.find(experiment, "xdp-drop", flood.family));
    report_.add(std::move(line));
  }
}

// The program's own counters have to agree with the sink's.
Result<void> Comparison::check_trap_counters(const Entry& one, const Flood& flood,
                                             const lab::Counters& before) {
  const std::string& verdict = one.responder.expected.at(flood.kind).verdict;
  const auto after = one.equipment.daemon->counters();
  if (!after)
    return after.error();
  const std::uint64_t counted = lab::count_of(lab::difference(before, *after), verdict);
  if (counted < one.sent - one.sent / 1000 || counted > one.sent)
    return Error{fmt::format("{} packets were sent, {} counted as {}", one.sent, counted, verdict)};
  return {};
}

void Comparison::compare(const Flood& flood) {
  const std::string experiment = experiment_of(flood);
  const auto rate = [&](const std::string& name) {
    const Line* line = report_.find(experiment, name, flood.family);
    return line == nullptr ? 0 : line->value;
  };
  const bool answers = floor_of(flood.kind) == "xdp-tx";
  if (answers && rate("xdp-drop") < clearly_faster * rate("xdp-tx"))
    report_.doubt(fmt::format("{} ipv{}", experiment, flood.family),
                  "the generator is hardly faster than XDP_TX, so the loop measures the generator");
  for (const auto& [kind, trap, other, limit] : limits)
    if (kind == flood.kind && rate(trap) > 0 && rate(other) > 0)
      report_.add(
          Target{fmt::format("{}, IPv{}: {} over {}", experiment, flood.family, trap, other),
                 rate(trap) / rate(other), Bound::at_least, limit, "x"});
  for (const auto& [kind, trap, floor, limit_ns] : limits_over_floors)
    if (kind == flood.kind && rate(trap) > 0 && rate(floor) > 0)
      report_.add(
          Target{fmt::format("{}, IPv{}: {} above {}", experiment, flood.family, trap, floor),
                 1e9 / rate(trap) - 1e9 / rate(floor), Bound::at_most, limit_ns, "ns"});
}

Result<void> Comparison::run(const Flood& flood, const Measure& measure) {
  std::map<const Entry*, lab::Counters> before;
  for (const Entry& one : entries_) {
    if (!one.equipment.daemon || !takes_part(one.responder, flood))
      continue;
    auto counters = one.equipment.daemon->counters();
    if (!counters)
      return counters.error();
    before[&one] = std::move(*counters);
  }
  if (auto given = give_credentials(flood); !given)
    return given;
  if (auto ran = run_rounds(flood, measure); !ran)
    return ran;
  judge(flood);
  for (const auto& [one, counters] : before)
    if (auto agrees = check_trap_counters(*one, flood, counters); !agrees)
      return agrees;
  compare(flood);
  return {};
}

} // namespace trap::bench
