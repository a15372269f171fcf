// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <fmt/format.h>

#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr int packets_of_each_kind = 40;
constexpr std::chrono::seconds deadline{15};

struct Probe {
  std::string_view name;
  std::vector<std::string> arguments;
  std::string_view verdict;
  int fragments = 1; // that hping3 makes of each packet
};

const std::vector<Probe>& probes_by_hping() {
  static const std::vector<Probe> all = {
      {"SYN", {"-S"}, "drop-uninvited"},
      {"SYN of a wrong checksum", {"-S", "--badcksum"}, "drop-uninvited"},
      {"SYN of data offset 3", {"-S", "--tcpoff", "3"}, "drop-bad-data-offset"},
      {"SYN in fragments", {"-S", "--frag", "--data", "44"}, "drop-fragment", 4},
      {"SYN in fragments of 24 bytes",
       {"-S", "--frag", "--mtu", "24", "--data", "44"},
       "drop-fragment",
       3},
      {"ACK in fragments", {"-A", "--frag", "--data", "44"}, "drop-fragment", 4},
      {"SYN that says more is to come", {"-S", "--morefrag"}, "drop-fragment"},
      {"SYN at the offset of a later fragment", {"-S", "--fragoff", "8"}, "drop-fragment"},
      {"SYN-ACK", {"-S", "-A"}, "drop-no-flow"},
      {"ACK", {"-A"}, "drop-no-flow"},
      {"RST", {"-R"}, "drop-no-flow"},
      {"FIN", {"-F"}, "drop-bad-flags"},
      {"FIN-ACK", {"-F", "-A"}, "drop-no-flow"},
      {"xmas", {"-F", "-P", "-U"}, "drop-bad-flags"},
      {"every flag", {"-F", "-S", "-R", "-P", "-A", "-U"}, "drop-bad-flags"},
      {"null", {}, "drop-null"},
  };
  return all;
}

// How many packets hping3 says it sent and received.
struct Tally {
  int sent = -1, received = -1;
};

Result<Tally> hping(const Host& from, int port, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"hping3",
                                    "--quiet",
                                    "--numeric",
                                    "--count",
                                    std::to_string(packets_of_each_kind),
                                    "--interval",
                                    "u1000",
                                    "--destport",
                                    std::to_string(port)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  words.emplace_back(addresses_of("service").ipv4);
  auto finished = run(from.command(words), deadline);
  if (!finished)
    return finished.error();
  Tally tally;
  const std::string said = finished->output + finished->errors;
  if (const std::size_t at = said.find("statistic ---\n"); at != std::string::npos)
    std::sscanf(said.c_str() + at, "statistic ---\n%d packets tra%*[a-z], %d packets received",
                &tally.sent, &tally.received);
  if (tally.sent < 0 || tally.received < 0)
    return Error{"hping3 does not say what it sent: " + said};
  return tally;
}

void probe(Scene& scene, const Probe& one) {
  const std::string what = fmt::format("hping3, {}", one.name);
  GuardWatch watch = GuardWatch::begin(scene);
  const auto tally = hping(scene.host("stranger"), service_port, one.arguments);
  if (!scene.check(static_cast<bool>(tally), what + ": runs", tally ? "" : tally.error().message))
    return;
  scene.check(tally->sent == packets_of_each_kind && tally->received == 0,
              fmt::format("{}: no answer to {} packets", what, tally->sent),
              fmt::format("{} sent, {} answers", tally->sent, tally->received));
  watch.expect_only(
      {{std::string{one.verdict}, static_cast<std::uint64_t>(tally->sent * one.fragments)}}, what);
}

std::string verdict_of(int flags) {
  switch (flags & (tcp_fin | tcp_syn | tcp_rst | tcp_ack)) {
  case 0:
    return "drop-null";
  case tcp_syn:
    return "drop-uninvited";
  case tcp_ack:
  case tcp_syn | tcp_ack:
  case tcp_rst:
  case tcp_rst | tcp_ack:
  case tcp_fin | tcp_ack:
    return "drop-no-flow";
  default:
    return "drop-bad-flags";
  }
}

// hping3 knows IPv4 only.
void every_combination_of_flags(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, all 256 combinations of flags", name_of(family));
  std::vector<Segment> segments;
  Counters verdicts;
  for (int flags = 0; flags < 256; flags++) {
    segments.push_back(syn_from("stranger", family));
    segments.back().flags = static_cast<std::uint8_t>(flags);
    segments.back().ack = 1;
    verdicts[verdict_of(flags)]++;
  }
  GuardWatch watch = GuardWatch::begin(scene);
  send_to_service(scene, segments, what);
  watch.expect_only(verdicts, what);
}

void probes(Scene& scene) {
  const auto open = hping(scene.host("stranger"), open_port, {"-S"});
  scene.check(open && open->received == packets_of_each_kind,
              "hping3, SYN to an open port: every one is answered",
              open ? fmt::format("{} of {}", open->received, open->sent) : open.error().message);
  for (const Probe& one : probes_by_hping())
    probe(scene, one);
  for (const Family family : families)
    every_combination_of_flags(scene, family);
}

const Registration register_probes{{
    .name = "probes",
    .goal = "hping3 and every combination of flags get no answer, and never reach the stack",
    .plan = quiet_plan(),
    .play = probes,
}};

} // namespace
} // namespace trap::lab
