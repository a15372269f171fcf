// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/server_fleet.h"

#include <fmt/format.h>

#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr int single_connections = 6, many_connections = 24;
const std::atomic<bool> never = false;

struct Moved {
  std::uint64_t answered = 0, redirected = 0;
};

std::vector<Moved> moved_between(const std::array<Counters, ServerFleet::size>& before,
                                 const std::array<Counters, ServerFleet::size>& after) {
  std::vector<Moved> moved;
  for (std::size_t i = 0; i < before.size(); i++) {
    const Counters counters = difference(before[i], after[i]);
    moved.push_back({count_of(counters, "reply-syn-ack"), count_of(counters, "reply-redirect")});
  }
  return moved;
}

std::string text_of(const std::vector<Moved>& moved) {
  std::string text;
  for (const Moved& one : moved)
    text += fmt::format("{} SYN-ACKs and {} redirects; ", one.answered, one.redirected);
  return text;
}

// One connection at a time: the server that answered its SYN is not the one that redirected it.
void expect_two_servers(Scene& scene, ServerFleet& fleet, Family family) {
  int apart = 0;
  std::string last;
  for (int i = 0; i < single_connections; i++) {
    const auto before = fleet.counters();
    const FleetLoad load = ask_each_time(scene.trap(), family, 1, never);
    const auto after = fleet.counters();
    if (!before || !after || load.failures != 0) {
      last = load.text();
      continue;
    }
    const std::vector<Moved> moved = moved_between(*before, *after);
    last = text_of(moved);
    const auto once = [&](auto member) {
      return std::ranges::count_if(moved, [&](const Moved& one) { return one.*member == 1; }) == 1;
    };
    const bool same = std::ranges::any_of(
        moved, [](const Moved& one) { return one.answered > 0 && one.redirected > 0; });
    apart += once(&Moved::answered) && once(&Moved::redirected) && !same;
  }
  scene.check(
      apart == single_connections,
      fmt::format(
          "{}: one server answers the SYN, another takes the ACK and redirects, {} times of {}",
          name_of(family), single_connections, single_connections),
      fmt::format("{} times; last: {}", apart, last));
}

void expect_all_in_use(Scene& scene, ServerFleet& fleet, Family family, const std::string& what) {
  const auto before = fleet.counters();
  const FleetLoad load = ask_each_time(scene.trap(), family, many_connections, never);
  const auto after = fleet.counters();
  scene.check(
      load.failures == 0,
      fmt::format("{}, {}: {} connections, none fails", what, name_of(family), many_connections),
      load.text());
  if (!before || !after)
    return;
  const std::vector<Moved> moved = moved_between(*before, *after);
  const auto in_use = std::ranges::count_if(
      moved, [](const Moved& one) { return one.answered > 0 && one.redirected > 0; });
  scene.check(in_use == ServerFleet::size,
              fmt::format("{}, {}: all three servers answer and redirect", what, name_of(family)),
              text_of(moved));
}

void expect_loss_unnoticed(Scene& scene, ServerFleet& fleet, const std::string& what) {
  const std::array<FleetLoad, 2> loads = lose_last_under_load(scene.trap(), fleet);
  for (std::size_t i = 0; i < loads.size(); i++)
    scene.check(
        loads[i].failures == 0 && loads[i].seconds.size() > 10,
        fmt::format("{}, {}: a server is lost and no connection fails", what, name_of(families[i])),
        loads[i].text());
}

// Equal-cost routes first, because the loss of a server ends the scenario.
void fleet(Scene& scene) {
  auto started = ServerFleet::start(scene.trap());
  if (!scene.check(static_cast<bool>(started), "three TRAP servers share the public addresses",
                   started ? "" : started.error().message))
    return;
  ServerFleet& fleet = **started;
  if (ServerFleet::kernel_has_ecmp() &&
      scene.done(fleet.spread(Spreading::ecmp), "equal-cost routes lead to all three"))
    for (const Family family : families)
      expect_all_in_use(scene, fleet, family, "by equal-cost routes");
  if (!scene.done(fleet.spread(Spreading::spray), "the router sprays packets over all three"))
    return;
  for (const Family family : families) {
    expect_two_servers(scene, fleet, family);
    expect_all_in_use(scene, fleet, family, "sprayed");
  }
  expect_loss_unnoticed(scene, fleet, "sprayed");
}

const Registration register_fleet{{
    .name = "fleet",
    .goal = "three servers share nothing but the master key: SYN and ACK at different ones, one "
            "lost under load",
    .run_class = RunClass::busy,
    .play = fleet,
}};

} // namespace
} // namespace trap::lab
