// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include <fmt/format.h>

#include "lab/programs/fetch_loop.h"
#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int reloads = 20;

std::string service_url(Family family) {
  return fmt::format("http://{}/small.txt",
                     endpoint(addresses_of("service").address(family), service_port));
}

// `trapctl guard ...`, which must succeed. Returns its output.
std::string command(Scene& scene, std::vector<std::string> words) {
  std::string text = "trapctl guard";
  for (const std::string& word : words)
    text += " " + word;
  words.insert(words.begin(), "guard");
  const auto done = scene.trap().guard().control(words);
  scene.check(done && done->exit_code == 0, text, done ? done->errors : done.error().message);
  return done ? done->output : "";
}

bool gets_in(Scene& scene, Family family, milliseconds deadline) {
  const auto response = fetch(scene.host("stranger"), {service_url(family), deadline});
  return response && response->complete();
}

void expect_open(Scene& scene, std::string_view when) {
  for (const Family family : families)
    scene.check(gets_in(scene, family, std::chrono::seconds{5}),
                fmt::format("{}: a stranger gets in over {}", when, name_of(family)),
                "it does not");
}

void expect_shut(Scene& scene, std::string_view when) {
  for (const Family family : families)
    scene.check(!gets_in(scene, family, milliseconds{700}),
                fmt::format("{}: a stranger is refused over {}", when, name_of(family)),
                "it gets in");
}

// The program's own clock decides; nothing else opens the port again.
void expect_to_open_by_itself(Scene& scene, std::string_view when) {
  bool open = false;
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
       !open && std::chrono::steady_clock::now() < until;)
    open = gets_in(scene, Family::ipv4, milliseconds{500});
  scene.check(open, fmt::format("{}: strangers get in again by themselves", when), "not in 20 s");
}

// Not every packet is looked at, so the stranger comes again until it is named.
void expect_to_be_named(Scene& scene, Family family) {
  bool named = false;
  std::string suspects;
  for (int tries = 0; !named && tries < 50; tries++) {
    gets_in(scene, family, std::chrono::seconds{5});
    const auto done = scene.trap().guard().control({"guard", "suspects"});
    suspects = done ? done->output : done.error().message;
    named = suspects.find(addresses_of("stranger").address(family)) != std::string::npos;
  }
  scene.check(
      named,
      fmt::format("monitoring: the stranger is named among the suspects over {}", name_of(family)),
      suspects);
}

void guard_modes(Scene& scene) {
  expect_shut(scene, "as configured");
  command(scene, {"monitor"});
  GuardWatch watch = GuardWatch::begin(scene);
  expect_open(scene, "monitoring");
  const Counters dropped = watch.wait_for(0);
  scene.check(count_of(dropped, "drop-uninvited") == 0, "monitoring: nothing is counted as dropped",
              text_of(dropped));
  for (const Family family : families)
    expect_to_be_named(scene, family);
  command(scene, {"enforce", "--confirm", "1h"});
  expect_shut(scene, "on trial");
  command(scene, {"monitor"});
  command(scene, {"enforce", "--confirm", "3s"});
  expect_to_open_by_itself(scene, "not confirmed");
  command(scene, {"enforce", "--confirm", "3s"});
  scene.trap().guard().kill();
  expect_to_open_by_itself(scene, "not confirmed, and the daemon was killed");
  scene.done(scene.trap().guard().start(), "the daemon starts again");
  expect_shut(scene, "as configured, again");
  command(scene, {"monitor"});
  command(scene, {"enforce", "--confirm", "60s"});
  command(scene, {"confirm"});
  expect_shut(scene, "confirmed");
  const std::string mode = command(scene, {"mode"});
  scene.check(mode.find("mode: enforce") != std::string::npos &&
                  mode.find("confirm") == std::string::npos,
              "confirmed: nothing is left to confirm", mode);
}

// Changes of classes, services and trusted peers, while connections are made and data flow.
void guard_reload(Scene& scene) {
  const std::string usual = guard_text(scene.trap().plan(), "service");
  const std::string other =
      "trusted = [\"192.0.2.190\"]\n" + usual + "[[service]]\nname = \"more\"\nport = 8081\n";
  auto loop = FetchLoop::start(scene.host("client"),
                               {{Deployment::public_url(Family::ipv4, "/small.txt")},
                                {Deployment::public_url(Family::ipv6, "/small.txt")}});
  auto transfer = Transfer::start(
      scene.host("client"),
      {Deployment::public_url(Family::ipv4, "/steady/5mb.bin"), std::chrono::seconds{40}});
  if (!scene.check(loop && transfer && Scene::wait_until_under_way(*transfer),
                   "downloads are under way", "they are not"))
    return;
  GuardWatch watch = GuardWatch::begin(scene);
  int failed = 0;
  std::string reason;
  for (int i = 0; i < reloads; i++) {
    Daemon& guard = scene.trap().guard();
    auto done = guard.configure(i % 2 == 0 ? other : usual);
    if (done)
      done = guard.reload();
    if (!done && failed++ == 0)
      reason = done.error().message;
  }
  scene.check(failed == 0, fmt::format("{} reloads: each is accepted", reloads), reason);
  const auto response = transfer->finish();
  scene.check(response && response->complete() && response->bytes == download_bytes,
              "the download under way arrives whole",
              response ? response->text() : response.error().message);
  const LoopResult fetched = loop->finish();
  scene.check(fetched.fetches > 0 && fetched.failures == 0,
              "connections made meanwhile: " + fetched.text(), "some failed");
  Counters dropped = watch.wait_for(0);
  std::erase_if(dropped, [](const auto& one) { return !one.first.starts_with("drop-"); });
  scene.check(dropped.empty(), "the guard dropped nothing", text_of(dropped));
}

const Registration register_guard_modes{{
    .name = "guard-modes",
    .goal = "monitoring drops nothing and names strangers; enforcing ends by itself, also without "
            "the daemon",
    .plan = quiet_plan(),
    .play = guard_modes,
}};

const Registration register_guard_reload{{
    .name = "guard-reload",
    .goal = "twenty reloads of the guard during downloads",
    .plan = quiet_plan(),
    .run_class = RunClass::busy,
    .play = guard_reload,
}};

} // namespace
} // namespace trap::lab
