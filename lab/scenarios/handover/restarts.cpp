// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds transfer_deadline{40000};

Daemon& daemon_of(Scene& scene, DaemonKind kind) {
  switch (kind) {
  case DaemonKind::server:
    return scene.trap().server();
  case DaemonKind::guard:
    return scene.trap().guard();
  case DaemonKind::client:
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

// A download of each family is under way while the daemon is away.
struct Downloads {
  std::vector<Transfer> transfers; // as in `families`
  std::vector<std::string> names;
};

std::optional<Downloads> begin_downloads(Scene& scene, const std::string& daemon) {
  Downloads downloads;
  for (const Family family : families) {
    const std::string what = fmt::format("{}, {}", name_of(family), daemon);
    auto transfer = Transfer::start(
        scene.host("client"), {Deployment::public_url(family, "/slow/5mb.bin"), transfer_deadline});
    if (!scene.check(static_cast<bool>(transfer), what + ": a download begins",
                     transfer ? "" : transfer.error().message))
      return std::nullopt;
    scene.check(Scene::wait_until_under_way(*transfer), what + ": the download is under way",
                fmt::format("{} bytes", transfer->bytes_so_far()));
    downloads.transfers.push_back(std::move(*transfer));
    downloads.names.push_back(what);
  }
  return downloads;
}

void restart(Scene& scene, DaemonKind kind, bool violently) {
  const std::string name =
      fmt::format("trap-{} {}", name_of(kind), violently ? "killed" : "stopped");
  auto downloads = begin_downloads(scene, name);
  if (!downloads)
    return;
  Daemon& daemon = daemon_of(scene, kind);
  const auto counted = daemon.counters();
  if (violently)
    daemon.kill();
  else
    scene.done(daemon.stop(), name + ": ends well");
  for (std::size_t i = 0; i < downloads->transfers.size(); i++) {
    visit_without_daemon(scene, families[i], downloads->names[i]);
    scene.check(downloads->transfers[i].running(),
                downloads->names[i] + ": the download was still under way", "it had ended before");
  }
  scene.done(daemon.start(), name + ": starts again");
  expect_counters_kept(scene, counted, daemon.counters(), name);
  for (std::size_t i = 0; i < downloads->transfers.size(); i++) {
    const std::string& what = downloads->names[i];
    const auto response = downloads->transfers[i].finish();
    scene.check(response && response->complete() &&
                    same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
                what + ": the download completes",
                response ? response->text() : response.error().message);
    scene.expect_whole(scene.visit_service(families[i], "/5mb.bin"), families[i], download_bytes,
                       what + ", next connection");
  }
  scene.forget_redirects();
  for (const Family family : families)
    scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes,
                       fmt::format("{}, {}, next first connection", name_of(family), name));
}

const Registration register_kill_server{{
    .name = "kill-server",
    .goal = "SIGKILL of trap-server in the middle of a download",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { restart(scene, DaemonKind::server, true); },
}};

const Registration register_kill_guard{{
    .name = "kill-guard",
    .goal = "SIGKILL of trap-guard in the middle of a download",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { restart(scene, DaemonKind::guard, true); },
}};

const Registration register_kill_client{{
    .name = "kill-client",
    .goal = "SIGKILL of trap-client in the middle of a download",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { restart(scene, DaemonKind::client, true); },
}};

const Registration register_stop_server{{
    .name = "stop-server",
    .goal = "stop and start of trap-server in the middle of a download",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { restart(scene, DaemonKind::server, false); },
}};

const Registration register_stop_guard{{
    .name = "stop-guard",
    .goal = "stop and start of trap-guard in the middle of a download",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { restart(scene, DaemonKind::guard, false); },
}};

const Registration register_stop_client{{
    .name = "stop-client",
    .goal = "stop and start of trap-client in the middle of a download",
    .run_class = RunClass::busy,
    .play = [](Scene& scene) { restart(scene, DaemonKind::client, false); },
}};

} // namespace
} // namespace trap::lab
