// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/programs/fetch_loop.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"
#include "lab/traffic/reset_watch.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds activation_deadline{2000}, rest_deadline{8000}, watched{500},
    defence_deadline{200};

// Waits until the service is active, or at rest, at its address of this family.
bool wait_for_activity(Scene& scene, Family family, bool active, milliseconds deadline) {
  const std::string address = endpoint(addresses_of("trap").address(family), service_port);
  return becomes(
      [&] {
        const auto status = scene.trap().server().status();
        if (!status)
          return false;
        const auto service = std::ranges::find(status->services, address, &ServiceStatus::address);
        return service != status->services.end() && service->active == active;
      },
      deadline);
}

void expect_peace(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, no attack", name_of(family));
  const Visit visit = scene.visit("stranger", Deployment::public_url(family, "/small.txt"));
  scene.check(visit.response.complete(), what + ": the stack answers", visit.response.text());
  scene.check(count_of(visit.moved.server, "reply-syn-ack") == 0 &&
                  count_of(visit.moved.server, "pass-syn-at-peace") > 0,
              what + ": TRAP does not", text_of(visit.moved.server));
}

// From the first SYNs of a flood to the first that TRAP answers; nothing if it answers none.
std::optional<milliseconds> time_to_defence(Scene& scene, const Counters& before) {
  using clock = std::chrono::steady_clock;
  const clock::time_point deadline = clock::now() + scale_timeout(activation_deadline);
  std::optional<clock::time_point> first;
  for (clock::time_point now = clock::now(); now < deadline; now = clock::now()) {
    const auto counters = scene.trap().server().counters();
    const Counters moved = counters ? difference(before, *counters) : Counters{};
    if (!first && count_of(moved, "pass-syn-at-peace") > 100)
      first = now;
    if (count_of(moved, "reply-syn-ack") > 0)
      return std::chrono::duration_cast<milliseconds>(clock::now() - first.value_or(now));
  }
  return std::nullopt;
}

void attack(Scene& scene, Family family) {
  const std::string what{name_of(family)};
  const auto before = scene.trap().server().counters();
  {
    const auto flood =
        Flood::start(scene.trap().topology(), {family, FloodKind::syn, "trap", service_port});
    const auto time = flood && before ? time_to_defence(scene, *before) : std::nullopt;
    scene.check(time && *time < scale_timeout(defence_deadline),
                fmt::format("{}: TRAP defends the service within 200 ms of the first SYN: {} ms",
                            what, time ? time->count() : 0),
                "it does not");
    scene.check(flood && wait_for_activity(scene, family, true, activation_deadline),
                what + ": TRAP answers within 2 s of a flood",
                flood ? "it is at rest still" : flood.error().message);
    sleep_for(watched);
  }
  const auto after = scene.trap().server().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(count_of(moved, "reply-syn-ack") > 1000, what + ": with SYN cookies", text_of(moved));
  scene.check(wait_for_activity(scene, family, false, rest_deadline),
              what + ": it rests again some time after", "it is active still");
}

bool goes_on(Transfer& transfer) {
  const std::uint64_t before = transfer.bytes_so_far();
  return becomes([&] { return transfer.bytes_so_far() > before; }, milliseconds{3000});
}

// Downloads and long connections of both families go on while TRAP wakes and rests.
void peace(Scene& scene) {
  for (const Family family : families)
    expect_peace(scene, family);
  auto resets = ResetWatch::start(scene.host("stranger"));
  std::vector<Transfer> transfers;
  std::vector<Request> requests;
  for (const Family family : families) {
    requests.push_back({Deployment::public_url(family, "/small.txt")});
    auto transfer =
        Transfer::start(scene.host("stranger"), {Deployment::public_url(family, "/crawl/5mb.bin"),
                                                 std::chrono::seconds{40}});
    if (scene.check(transfer && Scene::wait_until_under_way(*transfer),
                    fmt::format("{}: a long download is under way", name_of(family)),
                    "it did not get there"))
      transfers.push_back(std::move(*transfer));
  }
  auto loop = FetchLoop::start(scene.host("stranger"), requests);
  if (!scene.check(loop && resets, "a loop of downloads begins", "it does not"))
    return;
  for (const Family family : families)
    attack(scene, family);
  for (Transfer& transfer : transfers)
    scene.check(goes_on(transfer), "a long download goes on after all of it",
                "it ended, or nothing comes any more");
  const LoopResult result = loop->finish();
  scene.check(result.fetches > 20 && result.failures == 0,
              "no download of the loop failed: " + result.text(), "");
  const std::uint64_t count = resets->count();
  scene.check(count == 0, "not one reset arrived", fmt::format("{} arrived", count));
}

const Registration register_peace{{
    .name = "peace",
    .goal = "TRAP wakes in an attack and rests after it, and no connection notices",
    .plan = resting_plan(4000),
    .run_class = RunClass::busy,
    .play = peace,
}};

} // namespace
} // namespace trap::lab
