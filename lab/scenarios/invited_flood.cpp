// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/forger.h"
#include "lab/scenarios/guard_watch.h"
#include "lab/scenarios/plays.h"

namespace trap::lab::plays {
namespace {

constexpr std::uint8_t small_tag = 7;
// Of the class in the catalogue: 20 SYNs a second with ten seconds of them saved, 500 packets with one second of them saved.
constexpr std::uint64_t syns_saved = 200, packets_saved = 500, packets_sent = 5000, dropped_at_least = 3000;

Bytes ticket_of(const Forger& forger, std::string_view host, Family family) {
  return forger.ticket({.client = std::string{place_of(host).address(family)}, .tag = small_tag});
}

// Sends, waits, and says what the guard counted.
Counters flood_with(Scene& scene, const std::vector<Segment>& segments, const std::string& what) {
  GuardWatch watch = GuardWatch::begin(scene);
  send_to_service(scene, segments, what);
  return watch.wait_for(segments.size());
}

void syns(Scene& scene, const Forger& forger, Family family) {
  const std::string what = fmt::format("{}, {} SYNs with a right ticket", name_of(family), packets_sent);
  std::vector<Segment> segments;
  for (std::uint64_t i = 0; i < packets_sent; i++) {
    segments.push_back(syn_from("stranger", family));
    segments.back().options = ticket_of(forger, "stranger", family);
    segments.back().source_port = static_cast<std::uint16_t>(10'000 + i);
  }
  const Counters moved = flood_with(scene, segments, what);
  const std::uint64_t passed = count_of(moved, "pass-ticket"), dropped = count_of(moved, "drop-client-syns");
  scene.check(passed >= syns_saved && dropped >= dropped_at_least && passed < packets_sent - dropped_at_least,
              what + ": most are drop-client-syns", text_of(moved));
}

// One flow, and no end of data on it.
void packets(Scene& scene, const Forger& forger, Family family) {
  const std::string what = fmt::format("{}, {} packets of one admitted flow", name_of(family), packets_sent);
  Segment syn = syn_from("attacker", family);
  syn.options = ticket_of(forger, "attacker", family);
  std::vector<Segment> segments(packets_sent, syn);
  for (std::size_t i = 1; i < segments.size(); i++) {
    segments[i].options.clear();
    segments[i].flags = tcp_ack | tcp_psh;
    segments[i].payload = Bytes(100, 'x');
  }
  const Counters moved = flood_with(scene, segments, what);
  const std::uint64_t passed = count_of(moved, "pass-flow"), dropped = count_of(moved, "drop-client-packets");
  scene.check(passed + 100 >= packets_saved && dropped >= dropped_at_least && passed < packets_sent - dropped_at_least,
              what + ": most are drop-client-packets", text_of(moved));
}

void others_are_not_affected(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, another client", name_of(family));
  const Visit visit = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(visit, family, download_bytes, what);
  scene.check(count_of(visit.moved.guard, "drop-client-syns") + count_of(visit.moved.guard, "drop-client-packets") == 0,
              what + ": is held to nothing", text_of(visit.moved.guard));
}

} // namespace

void invited_flood(Scene& scene) {
  const auto forger = Forger::with_key_of("service");
  if (!scene.check(static_cast<bool>(forger), "bots have tickets of their own", forger ? "" : forger.error().message))
    return;
  for (const Family family : families) {
    syns(scene, *forger, family);
    packets(scene, *forger, family);
    others_are_not_affected(scene, family);
  }
}

} // namespace trap::lab::plays
