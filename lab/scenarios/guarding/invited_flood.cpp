// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/answer_watch.h"
#include "lab/traffic/forger.h"
#include "runtime/packet/handshake.h"

namespace trap::lab {
namespace {

// Classes by tag, with their buckets' sizes and rates. A bucket holds ten seconds of SYNs, one of
// packets, and of bytes at least as many as the longest frame has.
constexpr std::uint8_t few_syns = 7, few_packets = 8, few_bytes = 9, few_flows = 10;
constexpr double syns_saved = 10, syns_per_s = 1;
constexpr double packets_saved = 10, packets_per_s = 10;
constexpr double kib_saved = 64, kib_saved_at_most = 65, kib_per_s = 64;
constexpr std::size_t flows_at_once = 5;

// Each bot is a client of its own, in a network of its own, and no host answers what the service
// sends there.
std::string bot(Family family, int number) {
  return family == Family::ipv4 ? fmt::format("198.18.{}.2", number)
                                : fmt::format("2001:db8:b07:{}::2", number);
}

Segment invited_syn(const Forger& forger, Family family, std::uint8_t tag) {
  Segment syn = syn_from("stranger", family);
  syn.from.address = address_from(bot(family, tag));
  syn.options = forger.ticket({.client = syn.from.address, .tag = tag});
  return syn;
}

// Packets that a flood may get through a budget, whatever the machine's speed: a full bucket, and
// the refill while it lasted.
struct Allowance {
  double saved, saved_at_most, per_s;
};

void expect_within(Scene& scene, const std::vector<Segment>& segments, const std::string& passing,
                   const std::string& refused, const Allowance& allowance,
                   const std::string& what) {
  const auto began = std::chrono::steady_clock::now();
  GuardWatch watch = GuardWatch::begin(scene);
  send_to_service(scene, segments, what);
  const Counters moved = watch.wait_for(segments.size());
  const double lasted_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const std::uint64_t passed = count_of(moved, passing), dropped = count_of(moved, refused);
  const auto least = static_cast<std::uint64_t>(allowance.saved);
  const auto most =
      static_cast<std::uint64_t>(std::ceil(allowance.saved_at_most + allowance.per_s * lasted_s)) +
      1;
  scene.check(passed >= least && passed <= most,
              fmt::format("{}: {} to {} pass in {:.2f} s", what, least, most, lasted_s),
              text_of(moved));
  scene.check(passed + dropped == segments.size(),
              fmt::format("{}: all others are {}", what, refused), text_of(moved));
}

void syns(Scene& scene, const Forger& forger, Family family) {
  std::vector<Segment> segments(500, invited_syn(forger, family, few_syns));
  for (std::size_t i = 0; i < segments.size(); i++)
    segments[i].from.port = static_cast<std::uint16_t>(10'000 + i);
  expect_within(scene, segments, "pass-ticket", "drop-client-syns",
                {syns_saved, syns_saved, syns_per_s},
                fmt::format("{}, {} SYNs with a right ticket", name_of(family), segments.size()));
}

// A connection of the bot's, and then no end of data.
std::vector<Segment> flow_of(Scene& scene, const Segment& syn, std::size_t packets,
                             std::size_t payload_bytes) {
  const auto answers = AnswerWatch::start(scene.host("router"), "service");
  send_to_service(scene, {syn}, "a bot connects");
  const auto answer = answers ? answers->next() : std::nullopt;
  const auto read = answer ? read_packet(answer->data(), answer->size()) : std::nullopt;
  scene.check(read.has_value(), "a bot connects: the service answers", "it does not");
  Segment data = syn;
  data.options.clear();
  data.flags = tcp_ack | tcp_psh;
  data.seq = syn.seq + 1;
  data.ack = read ? read->seq + 1 : 0;
  data.payload = Bytes(payload_bytes, 'x');
  return std::vector<Segment>(packets, data);
}

void packets(Scene& scene, const Forger& forger, Family family) {
  const auto segments = flow_of(scene, invited_syn(forger, family, few_packets), 1000, 100);
  expect_within(
      scene, segments, "pass-flow", "drop-client-packets",
      {packets_saved, packets_saved, packets_per_s},
      fmt::format("{}, {} packets of one admitted flow", name_of(family), segments.size()));
}

void bytes(Scene& scene, const Forger& forger, Family family) {
  const auto segments = flow_of(scene, invited_syn(forger, family, few_bytes), 2000, 1000);
  const double frames_a_kib =
      1024.0 / static_cast<double>(frame_to(addresses_of("service"), segments.back()).size());
  expect_within(
      scene, segments, "pass-flow", "drop-client-bytes",
      {kib_saved * frames_a_kib, kib_saved_at_most * frames_a_kib, kib_per_s * frames_a_kib},
      fmt::format("{}, {} full packets of one admitted flow", name_of(family), segments.size()));
}

// No clock decides this: so many at once, however many SYNs have passed, and one more when one has
// ended.
void flows(Scene& scene, const Forger& forger, Family family) {
  const std::string what =
      fmt::format("{}, a bot that may have {} connections", name_of(family), flows_at_once);
  const auto at_port = [&](std::size_t port) {
    Segment syn = invited_syn(forger, family, few_flows);
    syn.from.port = static_cast<std::uint16_t>(port);
    return syn;
  };
  const auto expect = [&](const std::vector<Segment>& segments, const Counters& verdicts,
                          std::string_view which) {
    GuardWatch watch = GuardWatch::begin(scene);
    send_to_service(scene, segments, what);
    const Counters moved = watch.wait_for(segments.size());
    scene.check(moved == verdicts, fmt::format("{}, {}: {}", what, which, text_of(verdicts)),
                text_of(moved));
  };
  std::vector<Segment> twelve;
  for (std::size_t i = 0; i < 12; i++) {
    twelve.push_back(flow_of(scene, at_port(20'000 + i), 1, 0).front());
    twelve.back().flags = tcp_ack;
  }
  expect(twelve,
         {{"pass-flow", flows_at_once}, {"drop-client-flows", twelve.size() - flows_at_once}},
         "opens twelve");
  expect({at_port(30'000)}, {{"drop-client-flows", 1}}, "asks for one more");
  Segment reset = twelve[0];
  reset.flags = tcp_rst;
  reset.seq += 1'000'000;
  expect({reset}, {{"pass-flow", 1}}, "sends a RST with a wrong number");
  expect({at_port(30'000)}, {{"drop-client-flows", 1}}, "has as many as before");
  reset.seq = twelve[0].seq;
  expect({reset}, {{"pass-flow", 1}}, "ends one");
  std::vector<Segment> two;
  for (std::size_t i = 0; i < 2; i++) {
    two.push_back(flow_of(scene, at_port(30'000 + i), 1, 0).front());
    two.back().flags = tcp_ack;
  }
  expect(two, {{"pass-flow", 1}, {"drop-client-flows", 1}}, "opens two more");
}

void others_are_not_affected(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, another client", name_of(family));
  const Visit visit = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(visit, family, download_bytes, what);
  std::uint64_t held = 0;
  for (const auto& [verdict, packets] : visit.moved.guard)
    held += verdict.starts_with("drop-client-") ? packets : 0;
  scene.check(held == 0, what + ": is held to nothing", text_of(visit.moved.guard));
}

void invited_flood(Scene& scene) {
  const auto forger = Forger::with_key_of("service");
  if (!scene.check(static_cast<bool>(forger), "bots have tickets of their own",
                   forger ? "" : forger.error().message))
    return;
  for (const Family family : families) {
    syns(scene, *forger, family);
    packets(scene, *forger, family);
    bytes(scene, *forger, family);
    flows(scene, *forger, family);
    others_are_not_affected(scene, family);
  }
}

// A class for each limit.
DeploymentPlan small_classes_plan() {
  DeploymentPlan plan = quiet_plan();
  for (const auto& [name, tag, limit] : {std::tuple{"few-syns", 7, "syns_per_s = 1"},
                                         std::tuple{"few-packets", 8, "packets_per_s = 10"},
                                         std::tuple{"few-bytes", 9, "bytes_per_s = 65536"},
                                         std::tuple{"few-flows", 10, "flows = 5"}})
    plan.guard_keys += fmt::format("[[class]]\nname = \"{}\"\ntags = [{}]\n{}\n", name, tag, limit);
  return plan;
}

const Registration register_invited_flood{{
    .name = "invited-flood",
    .goal =
        "an invited client that floods is held to its class's budgets, and harms no other client",
    .plan = small_classes_plan(),
    .run_class = RunClass::busy,
    .play = invited_flood,
}};

} // namespace
} // namespace trap::lab
