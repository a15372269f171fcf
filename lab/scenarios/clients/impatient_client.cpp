// SPDX-License-Identifier: Apache-2.0
// Applications that give a connect up after a second, while the network lets their packets through
// to the public address and not to the service: without the module each would be served. The fourth
// SYN of a connect, which would go to the TRAP server, never leaves.
#include <fmt/format.h>

#include "lab/programs/dial.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr int patience_ms = 1000, attempts = 8;

bool change_network(Scene& scene, std::string_view verb) {
  bool done = true;
  for (const Family family : families)
    done &=
        scene.done(scene.host("router").ip(fmt::format("rule {} iif client to {} blackhole\n", verb,
                                                       addresses_of("service").address(family)),
                                           family == Family::ipv4 ? "-4" : "-6"),
                   fmt::format("{}: {} a rule that lets nothing through to the service",
                               name_of(family), verb));
  return done;
}

Result<Reply> ask(Scene& scene, Family family) {
  return dial(scene.host("client"), addresses_of("trap").address(family), service_port,
              "/small.txt", {.patience_ms = patience_ms});
}

// How many attempts it took; 0 if none of them succeeded.
int attempts_until_served(Scene& scene, Family family) {
  for (int number = 1; number <= attempts; number++)
    if (ask(scene, family))
      return number;
  return 0;
}

void expect_served(Scene& scene, Family family, const std::string& what) {
  const int number = attempts_until_served(scene, family);
  scene.check(number > 0,
              fmt::format("{}, {}: one of {} attempts of a second is served", name_of(family), what,
                          attempts),
              "none was");
  std::string failures;
  for (int i = 0; i < 3; i++)
    if (const auto reply = ask(scene, family); !reply)
      failures += reply.error().message + "; ";
  scene.check(failures.empty(), fmt::format("{}, {}: and all that follow", name_of(family), what),
              failures);
}

void impatient_client(Scene& scene) {
  for (const Family family : families) {
    const auto reply = ask(scene, family);
    scene.check(static_cast<bool>(reply), fmt::format("{}: a redirect is learnt", name_of(family)),
                reply ? "" : reply.error().message);
  }
  if (!change_network(scene, "add"))
    return;
  for (const Family family : families)
    expect_served(scene, family, "with a redirect");
  scene.forget_redirects();
  for (const Family family : families)
    expect_served(scene, family, "nothing learnt");
  if (!change_network(scene, "delete"))
    return;
  scene.forget_redirects();
  for (const Family family : families) {
    const Visit visit = scene.visit_service(family, "/small.txt");
    scene.expect_handed_over(visit, fmt::format("{}, the network is whole", name_of(family)));
  }
}

const Registration register_impatient_client{{
    .name = "impatient-client",
    .goal = "applications that wait for a second are served where nothing but the public address "
            "can be reached",
    .plan = relayed_plan(),
    .play = impatient_client,
}};

} // namespace
} // namespace trap::lab
