// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"

namespace trap::lab {
namespace {

constexpr std::uint64_t packets_that_count = 1000;
// Flows that the guard may hold after one client's visits, however many packets the flood had.
constexpr std::uint64_t flows_of_one_client = 16;

std::string_view verdict_at_server(FloodKind kind) {
  switch (kind) {
  case FloodKind::syn:
    return "reply-syn-ack";
  case FloodKind::ack:
    return "drop-bad-cookie";
  case FloodKind::rst:
    return "drop-rst";
  case FloodKind::fin:
    return "drop-fin";
  }
  return "";
}

std::string_view verdict_at_guard(FloodKind kind) {
  return kind == FloodKind::syn ? "drop-uninvited" : "drop-no-flow";
}

void expect_right_verdicts(Scene& scene, FloodKind kind, bool at_server,
                           const Result<Reading>& before, const std::string& what) {
  const auto after = scene.trap().read();
  const Reading moved = before && after ? difference(*before, *after) : Reading{};
  const Counters& counters = at_server ? moved.server : moved.guard;
  scene.check(count_of(counters, at_server ? verdict_at_server(kind) : verdict_at_guard(kind)) >
                  packets_that_count,
              what + ": is answered or dropped with the right verdict", text_of(counters));
  const auto guard = scene.trap().guard().status();
  scene.check(guard && guard->flows <= flows_of_one_client, what + ": leaves no state at the guard",
              guard ? fmt::format("{} flows", guard->flows) : guard.error().message);
}

// One download that the flood overtakes, one that goes straight, and one whose handshake is in the
// flood.
void downloads_under(Scene& scene, FloodKind kind, Family family, bool at_server) {
  const std::string what = fmt::format("{} {} flood at the {}", name_of(family), name_of(kind),
                                       at_server ? "server" : "service");
  scene.forget_redirects();
  auto overtaken =
      Transfer::start(scene.host("client"), {Deployment::public_url(family, "/steady/5mb.bin"),
                                             std::chrono::seconds{40}});
  if (!scene.check(overtaken && Scene::wait_until_under_way(*overtaken),
                   what + ": a download is under way before", "it did not get there"))
    return;
  const auto before = scene.trap().read();
  const auto flood = Flood::start(scene.trap().topology(),
                                  {family, kind, at_server ? "trap" : "service", service_port});
  if (!scene.check(static_cast<bool>(flood), what + ": begins", flood ? "" : flood.error().message))
    return;

  const Visit straight = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(straight, family, download_bytes, what + ", later connection");
  scene.check(count_of(straight.moved.client, "pass-syn-ticketed") > 0,
              what + ", later connection: goes straight", text_of(straight.moved.client));
  const auto finished = overtaken->finish();
  scene.check(finished && finished->complete() && finished->bytes == download_bytes,
              what + ": the download that was under way completes",
              finished ? finished->text() : finished.error().message);
  scene.forget_redirects();
  const Visit first = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(first, family, download_bytes, what + ", first connection");
  scene.expect_handed_over(first, what + ", first connection");
  expect_right_verdicts(scene, kind, at_server, before, what);
}

void flood(Scene& scene, FloodKind kind) {
  for (const Family family : families)
    for (const bool at_server : {true, false})
      downloads_under(scene, kind, family, at_server);
}

const Registration register_flood_syn{{
    .name = "flood-syn",
    .goal = "downloads under SYN floods at both addresses",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { flood(scene, FloodKind::syn); },
}};

const Registration register_flood_ack{{
    .name = "flood-ack",
    .goal = "downloads under ACK floods at both addresses",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { flood(scene, FloodKind::ack); },
}};

const Registration register_flood_rst{{
    .name = "flood-rst",
    .goal = "downloads under RST floods at both addresses",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { flood(scene, FloodKind::rst); },
}};

const Registration register_flood_fin{{
    .name = "flood-fin",
    .goal = "downloads under FIN floods at both addresses",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { flood(scene, FloodKind::fin); },
}};

} // namespace
} // namespace trap::lab
