// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "lab/programs/fetch_loop.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"
#include "lab/traffic/reset_watch.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int reloads = 50, upgrades = 10;

// Nothing was lost from them, and both ways through the server were taken all the time.
void expect_counters(Scene& scene, const Result<Counters>& before, const Result<Counters>& after,
                     const std::string& what) {
  const Counters lost = before && after ? difference(*after, *before) : Counters{{"unreadable", 1}};
  scene.check(lost.empty(), what + ": the counters went on", text_of(lost));
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(count_of(moved, "reply-redirect") >= 10 && count_of(moved, "pass-cookie") >= 10,
              what + ": clients were redirected and served", text_of(moved));
}

// What changes from one reload to the next: weights, a backend, policies, another service, and
// back.
DeploymentPlan changed(DeploymentPlan plan) {
  plan.two_backends = false;
  plan.more_services = true;
  plan.server_keys = "announce_rate = 5000\n";
  plan.policies = "  [[service.policy]]\n  action = \"deny\"\n  prefixes = [\"192.0.2.192/26\", "
                  "\"2001:db8:dead::/48\"]\n";
  return plan;
}

// Clients with the module and without, of both families, in loops, while a flood goes on.
struct Load {
  std::vector<FetchLoop> loops;
  std::vector<Flood> floods;
  std::optional<ResetWatch> resets;
};

// From ever new addresses of the client's host: each is redirected anew, while the others go
// straight.
std::vector<Request> first_requests(Scene& scene) {
  std::vector<Request> requests;
  std::string lines;
  for (int number = 3; number <= 60; number++)
    for (const Family family : families) {
      const std::string local = family == Family::ipv4 ? fmt::format("192.0.2.{}", number)
                                                       : fmt::format("2001:db8:2::{}", number);
      lines += fmt::format("address add {}{} dev eth0{}\n", local,
                           family == Family::ipv4 ? "/32" : "/64",
                           family == Family::ipv4 ? "" : " nodad");
      requests.push_back({Deployment::public_url(family, "/small.txt"), {}, {}, local});
    }
  if (auto done = scene.host("client").ip(lines); !done)
    scene.check(false, "give the client more addresses", done.error().message);
  return requests;
}

std::optional<Load> begin_load(Scene& scene, const std::string& what) {
  Load load;
  const std::vector<Request> requests = {{Deployment::public_url(Family::ipv4, "/small.txt")},
                                         {Deployment::public_url(Family::ipv6, "/small.txt")}};
  auto resets = ResetWatch::start(scene.host("stranger"));
  auto flood = Flood::start(scene.trap().topology(),
                            {Family::ipv4, FloodKind::syn, "trap", service_port, true});
  auto aware = FetchLoop::start(scene.host("client"), first_requests(scene)),
       unaware = FetchLoop::start(scene.host("stranger"), requests);
  if (!scene.check(resets && flood && aware && unaware,
                   what + ": under a flood, two loops of downloads begin",
                   flood ? "they do not" : flood.error().message))
    return std::nullopt;
  load.resets = std::move(*resets);
  load.floods.push_back(std::move(*flood));
  load.loops.push_back(std::move(*aware));
  load.loops.push_back(std::move(*unaware));
  return load;
}

void end_load(Scene& scene, Load load, const std::string& what) {
  const auto seen = load.floods.front().seen();
  for (std::size_t i = 0; i < load.loops.size(); i++) {
    const LoopResult result = load.loops[i].finish();
    scene.check(result.fetches >= 10 && result.failures == 0,
                fmt::format("{}, clients {} the module: {}", what, i == 0 ? "with" : "without",
                            result.text()),
                "");
  }
  const std::uint64_t count = load.resets->count();
  scene.check(count == 0, what + ": not one reset arrived at those without",
              fmt::format("{} arrived", count));
  scene.check(
      seen && seen->packets > 10'000,
      fmt::format("{}: all under {:.0f} SYNs a second", what, seen ? seen->per_second() : 0),
      "that is no flood");
}

void reload_often(Scene& scene) {
  const std::string what = fmt::format("{} reloads", reloads);
  const DeploymentPlan usual = scene.trap().plan(), other = changed(usual);
  auto load = begin_load(scene, what);
  if (!load)
    return;
  const auto before = scene.trap().server().counters();
  int failed = 0;
  std::string reason;
  for (int i = 0; i < reloads; i++) {
    Daemon& server = scene.trap().server();
    auto done = server.configure(server_text(i % 2 == 0 ? other : usual));
    if (done)
      done = server.reload();
    if (!done && failed++ == 0)
      reason = done.error().message;
  }
  scene.check(failed == 0, what + ": each is accepted", reason);
  const auto after = scene.trap().server().counters();
  end_load(scene, std::move(*load), what);
  expect_counters(scene, before, after, what);
}

void refuse_broken(Scene& scene) {
  Daemon& server = scene.trap().server();
  const auto before = server.status();
  scene.done(server.configure(server_text(scene.trap().plan()) +
                              "  [[service.backend]]\n  address = \"198.51.100.20:99999\"\n"),
             "a configuration with a wrong port is written");
  const auto refused = server.reload();
  scene.check(!refused && refused.error().message.find("198.51.100.20:99999") != std::string::npos,
              "a broken configuration: the reload fails and names the place",
              refused ? "it was taken" : refused.error().message);
  const auto after = server.status();
  const auto addresses = [](const Result<Status>& status) {
    std::string text;
    for (const ServiceStatus& service : status ? status->services : std::vector<ServiceStatus>{}) {
      text += service.address + ":";
      for (const BackendStatus& backend : service.backends)
        text += " " + backend.address;
    }
    return text;
  };
  scene.check(!addresses(before).empty() && addresses(before) == addresses(after),
              "a broken configuration: changes nothing",
              fmt::format("before {}, after {}", addresses(before), addresses(after)));
  for (const Family family : families)
    scene.expect_whole(scene.visit("stranger", Deployment::public_url(family, "/5mb.bin")), family,
                       download_bytes, fmt::format("{}, a broken configuration", name_of(family)));
  scene.done(server.configure(server_text(scene.trap().plan())), "the configuration is mended");
  scene.done(server.reload(), "and accepted");
}

// As a package upgrade does it: the daemon ends and starts, a newly loaded program goes into the
// pinned link.
void upgrade_often(Scene& scene) {
  const std::string what = fmt::format("{} upgrades", upgrades);
  auto load = begin_load(scene, what);
  if (!load)
    return;
  const auto before = scene.trap().server().counters();
  int failed = 0;
  std::string reason;
  for (int i = 0; i < upgrades; i++) {
    auto done = scene.trap().server().stop();
    if (done)
      done = scene.trap().server().start();
    if (!done && failed++ == 0)
      reason = done.error().message;
  }
  scene.check(failed == 0, what + ": each goes well", reason);
  const auto after = scene.trap().server().counters();
  end_load(scene, std::move(*load), what);
  expect_counters(scene, before, after, what);
}

void reload(Scene& scene) {
  reload_often(scene);
  refuse_broken(scene);
}

void upgrade(Scene& scene) {
  upgrade_often(scene);
}

DeploymentPlan reloads_plan() {
  DeploymentPlan plan = relayed_plan();
  plan.two_backends = true;
  return plan;
}

const Registration register_reload{{
    .name = "reload",
    .goal = "fifty reloads during a flood and downloads, and a broken configuration",
    .plan = reloads_plan(),
    .run_class = RunClass::busy,
    .play = reload,
}};

const Registration register_upgrade{{
    .name = "upgrade",
    .goal = "ten upgrades of trap-server during a flood and downloads",
    .plan = relayed_plan(),
    .run_class = RunClass::busy,
    .play = upgrade,
}};

} // namespace
} // namespace trap::lab
