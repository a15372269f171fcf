// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenarios.h"

namespace trap::lab::scenario {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds transfer_deadline{40000};

Daemon& daemon_of(Scene& scene, Part part) {
  switch (part) {
  case Part::server:
    return scene.trap().server();
  case Part::guard:
    return scene.trap().guard();
  case Part::client:
    break;
  }
  return scene.trap().client();
}

// The programs must go on without their daemon: a connection that begins meanwhile works too.
void visit_without_daemon(Scene& scene, Family family, const std::string& what) {
  const auto response = fetch(scene.host("client"),
                              {Deployment::public_url(family, "/small.txt"), milliseconds{20000}});
  scene.check(response && response->complete(), what + ": a new connection works meanwhile",
              response ? response->text() : response.error().message);
}

void expect_counters_kept(Scene& scene, const Result<Counters>& before,
                          const Result<Counters>& after, const std::string& what) {
  if (!before || !after) {
    scene.check(false, what + ": shows its counters", (before ? after : before).error().message);
    return;
  }
  const Counters lost = difference(*after, *before);
  scene.check(!before->empty() && lost.empty(),
              what + ": the counters went on from where they were", text_of(lost));
}

void restart_during_transfer(Scene& scene, Family family, Part part, bool violently) {
  const std::string what = fmt::format("{}, trap-{} {}", name_of(family), name_of(part),
                                       violently ? "killed" : "stopped");
  auto transfer = Transfer::start(
      scene.host("client"), {Deployment::public_url(family, "/slow/5mb.bin"), transfer_deadline});
  if (!scene.check(static_cast<bool>(transfer), what + ": a download begins",
                   transfer ? "" : transfer.error().message))
    return;
  scene.check(Scene::wait_until_under_way(*transfer), what + ": the download is under way",
              fmt::format("{} bytes", transfer->bytes_so_far()));

  Daemon& daemon = daemon_of(scene, part);
  const auto counted = daemon.counters();
  if (violently)
    daemon.kill();
  else
    scene.done(daemon.stop(), what + ": ends well");
  visit_without_daemon(scene, family, what);
  scene.check(transfer->running(), what + ": the download was still under way",
              "it had ended before");
  scene.done(daemon.start(), what + ": starts again");
  expect_counters_kept(scene, counted, daemon.counters(), what);

  const auto response = transfer->finish();
  scene.check(response && response->complete() &&
                  same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
              what + ": the download completes",
              response ? response->text() : response.error().message);
  scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes,
                     what + ", next connection");
  scene.forget_redirects();
  scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes,
                     what + ", next first connection");
}

} // namespace

void restart(Scene& scene, Part part, bool violently) {
  for (const Family family : families)
    restart_during_transfer(scene, family, part, violently);
}

} // namespace trap::lab::scenario
