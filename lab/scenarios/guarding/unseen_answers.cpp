// SPDX-License-Identifier: Apache-2.0
// The service's answers leave the host unseen by the guard, as by an interface where it is not:
// here a program of another owner takes them away before the guard's at egress.
#include <algorithm>

#include <fmt/format.h>

#include "lab/network/tc_programs.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr std::chrono::seconds two_looks{25}; // the guard takes one each ten seconds
constexpr std::string_view words = "leave where this guard does not see them";

bool is_named(Scene& scene) {
  const auto status = scene.trap().guard().status();
  return status && std::ranges::any_of(status->problems, [](const std::string& problem) {
           return problem.find(words) != std::string::npos;
         });
}

// A client that has forgotten that it was led to the service in vain.
void visit_anew(Scene& scene, const std::string& which) {
  Daemon& client = scene.trap().client();
  scene.done(client.detach(), which + ": a client that knows nothing");
  scene.done(client.start(), which + ": comes");
  for (const Family family : families)
    (void)scene.visit_service(family, "/5mb.bin");
}

void unseen_answers(Scene& scene) {
  for (const Family family : families) {
    const Visit visit = scene.visit_service(family, "/5mb.bin");
    scene.expect_handed_over(visit, fmt::format("{}, answers seen", name_of(family)));
  }
  const Fd accepts = program_that_accepts();
  if (!scene.check(!is_named(scene), "the guard has no such problem", "it has") ||
      !scene.done(put_first(scene.host("service"), "eth0", Direction::egress, accepts),
                  "a program of another owner goes before the guard's at egress"))
    return;
  for (const std::string which : {"first", "second"})
    visit_anew(scene, which);
  scene.check(becomes([&] { return is_named(scene); }, two_looks),
              "the guard says that it does not see the service's answers", "it does not");
}

const Registration register_unseen_answers{{
    .name = "unseen-answers",
    .goal = "a guard before which answers do not pass says so",
    .plan = {},
    .play = unseen_answers,
}};

} // namespace
} // namespace trap::lab
