// SPDX-License-Identifier: Apache-2.0
// ICMP at the guard: what routers say of connections that exist, what attackers say of those that
// do not, and queries.
#include <fmt/format.h>

#include "lab/hosts/counters.h"
#include "lab/hosts/files.h"
#include "lab/hosts/ping.h"
#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/forger.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int narrow_mtu = 1300, usual_mtu = 1500;
constexpr std::size_t errors_of_each_kind = 20;

struct Kind {
  std::string_view name;
  std::uint8_t type, code;
  std::uint32_t rest;
};

std::vector<Kind> kinds(Family family) {
  if (family == Family::ipv4)
    return {{"too big", 3, 4, 576},
            {"port unreachable", 3, 3, 0},
            {"time exceeded", 11, 0, 0},
            {"parameter problem", 12, 0, 0}};
  return {{"too big", 2, 0, 1280},
          {"no route", 1, 0, 0},
          {"time exceeded", 3, 0, 0},
          {"parameter problem", 4, 0, 0}};
}

// How many ICMP errors the service's stack has taken.
std::uint64_t taken_by_stack(Scene& scene) {
  const auto counters = stack_counters(scene.host("service"));
  std::uint64_t taken = 0;
  for (const char* name :
       {"Icmp.InDestUnreachs", "Icmp.InTimeExcds", "Icmp.InParmProbs", "Icmp6.InPktTooBigs",
        "Icmp6.InDestUnreachs", "Icmp6.InTimeExcds", "Icmp6.InParmProblems"})
    taken += counters ? count_of(*counters, name) : 0;
  return taken;
}

// The router's own errors: it cannot send the service's full packets on to the client.
void narrow_path(Scene& scene, Family family) {
  const std::string what =
      fmt::format("{}, a download over a path of {} bytes", name_of(family), narrow_mtu);
  const Visit visit = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(visit, family, download_bytes, what);
  scene.check(same_content(visit.response.body, scene.trap().service().documents() / "5mb.bin"),
              what + ": the right bytes", "the body differs from the document");
  scene.check(count_of(visit.moved.guard, "pass-icmp-flow") > 0,
              what + ": the guard let the router's errors in", text_of(visit.moved.guard));
}

void narrow_paths(Scene& scene) {
  const Host& router = scene.host("router");
  scene.done(router.ip(fmt::format("link set client mtu {}\n", narrow_mtu)),
             "the router's link to the client becomes narrow");
  for (const Family family : families)
    narrow_path(scene, family);
  scene.done(router.ip(fmt::format("link set client mtu {}\n", usual_mtu)), "and wide again");
}

// What the service would have sent to a client.
Segment answer_to(const Endpoint& client, Family family) {
  Segment answer = syn_from("service", family);
  answer.from.port = service_port;
  answer.to = client;
  answer.flags = tcp_syn | tcp_ack;
  return answer;
}

void expect_errors(Scene& scene, Family family, const Segment& about, const std::string& verdict,
                   std::string_view whose) {
  const trap_address reporter = address_from(addresses_of("attacker").address(family));
  for (const Kind& kind : kinds(family)) {
    const std::string what = fmt::format("{}, {} of {}", name_of(family), kind.name, whose);
    const IcmpMessage error = icmp_error(reporter, kind.type, kind.code, kind.rest, about);
    const std::vector<Bytes> frames(errors_of_each_kind, frame_to(addresses_of("service"), error));
    const auto before = scene.trap().guard().counters();
    const std::uint64_t taken_before = taken_by_stack(scene);
    send_frames_to_service(scene, frames, what);
    std::uint64_t counted = 0;
    for (int tries = 0; tries < 100 && counted < frames.size(); tries++) {
      const auto after = scene.trap().guard().counters();
      counted = before && after ? count_of(difference(*before, *after), verdict) : 0;
      if (counted < frames.size() && !sleep_for(milliseconds{20}))
        return;
    }
    scene.check(counted == frames.size(), fmt::format("{}: {} {}", what, verdict, frames.size()),
                fmt::format("{} of them", counted));
    const std::uint64_t taken = taken_by_stack(scene) - taken_before,
                        expected = verdict.starts_with("drop-") ? 0 : frames.size();
    scene.check(taken == expected, fmt::format("{}: the stack sees {}", what, expected),
                fmt::format("it saw {}", taken));
  }
}

// No host has the client's address, so no host ends the flow that its ticket opens.
void forged_errors(Scene& scene, const Forger& forger, Family family) {
  Segment syn = syn_from("stranger", family);
  syn.from.address = address_from(family == Family::ipv4 ? "198.18.0.2" : "2001:db8:b07::2");
  expect_errors(scene, family, answer_to(syn.from, family), "drop-icmp-no-flow",
                "a connection that does not exist");
  Segment elsewhere = answer_to(syn.from, family);
  elsewhere.from.port = open_port;
  expect_errors(scene, family, elsewhere, "pass-other", "a port that is not protected");
  syn.options = forger.ticket({.client = syn.from.address});
  GuardWatch watch = GuardWatch::begin(scene);
  const std::string what = fmt::format("{}, a client with a ticket", name_of(family));
  send_to_service(scene, {syn}, what);
  const Counters moved = watch.wait_for(1);
  scene.check(moved == Counters{{"pass-ticket", 1}}, what + " opens a connection", text_of(moved));
  expect_errors(scene, family, answer_to(syn.from, family), "pass-icmp-flow", "this connection");
  Endpoint other_end = syn.from;
  other_end.port++;
  expect_errors(scene, family, answer_to(other_end, family), "drop-icmp-no-flow",
                "another of this client");
}

void queries(Scene& scene, Family family, bool answered, std::string_view configured) {
  const auto before = scene.trap().guard().counters();
  const bool done = static_cast<bool>(ping(scene.host("stranger"), family,
                                           addresses_of("service").address(family),
                                           milliseconds{answered ? 5000 : 700}));
  const auto after = scene.trap().guard().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  const std::string what = fmt::format("{}, icmp = \"{}\"", name_of(family), configured);
  scene.check(
      done == answered,
      fmt::format("{}: an echo request is {}", what, answered ? "answered" : "not answered"),
      text_of(moved));
  scene.check((count_of(moved, "drop-icmp") > 0) == !answered,
              fmt::format("{}: it is {}counted as drop-icmp", what, answered ? "not " : ""),
              text_of(moved));
}

void icmp(Scene& scene) {
  const auto forger = Forger::with_key_of("service");
  if (!scene.check(static_cast<bool>(forger), "a guard's key is stolen",
                   forger ? "" : forger.error().message))
    return;
  for (const Family family : families) {
    queries(scene, family, true, "pass");
    forged_errors(scene, *forger, family);
  }
  auto done = scene.trap().guard().configure("icmp = \"drop\"\n" +
                                             guard_text(scene.trap().plan(), "service"));
  if (done)
    done = scene.trap().guard().reload();
  scene.done(done, "the guard is told to drop queries");
  scene.done(scene.host("router").ip("neighbour flush dev service\n"),
             "the router forgets its neighbour");
  for (const Family family : families)
    queries(scene, family, false, "drop");
  narrow_paths(scene);
}

const Registration register_icmp{{
    .name = "icmp",
    .goal = "ICMP errors reach the service only for flows that exist, queries as configured",
    .plan = quiet_plan(),
    .play = icmp,
}};

} // namespace
} // namespace trap::lab
