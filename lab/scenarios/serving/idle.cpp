// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/programs/idle_connection.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds learning{20000};

void expect_answer(Scene& scene, IdleConnection& idle, Family family) {
  const std::string what = fmt::format("{}, under a flood of ACKs", name_of(family));
  const auto before = scene.trap().server().counters();
  const auto flood =
      Flood::start(scene.trap().topology(), {family, FloodKind::ack, "trap", service_port});
  if (!scene.check(static_cast<bool>(flood), what + ": it begins",
                   flood ? "" : flood.error().message))
    return;
  const auto answer = idle.speak();
  scene.check(
      answer && answer->exit_code == 0 && answer->output.find("200 OK") != std::string::npos,
      what + ": the idle connection is answered",
      !answer
          ? answer.error().message
          : fmt::format("exit code {}: {}{}", answer->exit_code, answer->output, answer->errors));
  const auto after = scene.trap().server().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(count_of(moved, "drop-bad-cookie") > 1000 && count_of(moved, "pass-socket") > 0,
              what + ": which is dropped", text_of(moved));
  const auto status = scene.trap().server().status();
  scene.check(status && status->knows_connections,
              what + ": the stack was not asked about each ACK", "trap-server trusts no list");
}

// Connections that are older than TRAP, of which it has seen no segment: its list of the stack's
// connections is all it knows of them.
void idle(Scene& scene) {
  if (!scene.done(scene.trap().server().detach(), "trap-server is not there"))
    return;
  std::vector<IdleConnection> connections;
  for (const Family family : families) {
    auto opened = IdleConnection::start(scene.host("stranger"), family);
    if (!scene.check(static_cast<bool>(opened),
                     fmt::format("{}: a connection is opened and says nothing", name_of(family)),
                     opened ? "" : opened.error().message))
      return;
    connections.push_back(std::move(*opened));
  }
  scene.done(scene.trap().server().start(), "trap-server comes");
  const bool knows = becomes(
      [&] {
        const auto status = scene.trap().server().status();
        return status && status->knows_connections;
      },
      learning);
  scene.check(knows, "it learns which connections the stack has", "it trusts no list");
  for (std::size_t i = 0; i < connections.size(); i++)
    expect_answer(scene, connections[i], families[i]);
}

const Registration register_idle{{
    .name = "idle",
    .goal = "connections older than TRAP, and silent, survive a flood of ACKs",
    .plan = {.backends = false, .more_services = true},
    .run_class = RunClass::busy,
    .play = idle,
}};

} // namespace
} // namespace trap::lab
