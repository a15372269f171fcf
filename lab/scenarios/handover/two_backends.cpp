// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <fmt/format.h>

#include "lab/scenarios/scenario.h"
#include "lab/scenarios/serving/answers.h"

namespace trap::lab {
namespace {

constexpr int first_neighbour = 3, last_neighbour = 60;

void expect_same_backend(Scene& scene, Family family) {
  const std::string first = answering_host(scene, family, {});
  std::string others;
  for (int visit = 0; visit < 6; visit++) {
    if (visit % 2 == 1)
      scene.forget_redirects();
    if (const std::string now = answering_host(scene, family, {}); now != first)
      others += " " + now;
  }
  scene.check(
      others.empty() && first.starts_with("service"),
      fmt::format("{}: a client keeps its backend, redirected again or not", name_of(family)),
      fmt::format("first {}, then{}", first, others));
}

// The client's host has more addresses, each a client to the server: they spread over both backends
// by weight.
void two_backends(Scene& scene) {
  for (const Family family : families)
    expect_same_backend(scene, family);
  std::map<std::string, int> answers;
  for (const std::string& local : add_clients(scene, first_neighbour, last_neighbour))
    answers[answering_host(scene, Family::ipv4, local)]++;
  std::string text;
  for (const auto& [host, times] : answers)
    text += fmt::format("{} {}; ", host, times);
  scene.check(answers.size() == 2 &&
                  answers["service"] + answers["service-2"] == last_neighbour - first_neighbour + 1,
              "58 clients: every one is served by one of the two", text);
  scene.check(answers["service-2"] > 0 && answers["service"] > answers["service-2"],
              "58 clients: the heavier backend has more, the lighter some", text);
}

const Registration register_two_backends{{
    .name = "two-backends",
    .goal = "clients spread over backends by weight, and each keeps its own",
    .plan = {.two_backends = true},
    .play = two_backends,
}};

} // namespace
} // namespace trap::lab
