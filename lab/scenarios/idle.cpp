// SPDX-License-Identifier: Apache-2.0
#include <fstream>

#include <fmt/format.h>

#include "lab/flood.h"
#include "lab/scenarios/plays.h"

namespace trap::lab::plays {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds opening{5000}, learning{20000}, answering{20000};

bool wait_until(milliseconds deadline, const std::function<bool()>& holds) {
  for (const auto until = Clock::now() + deadline; Clock::now() < until && sleep_for(milliseconds{50});)
    if (holds())
      return true;
  return false;
}

// A connection that says nothing until it is told to; then it asks for a page and prints the answer.
struct IdleConnection {
  std::filesystem::path opened, told;
  Process process;

  static Result<IdleConnection> start(const Host& host, Family family) {
    const std::filesystem::path opened = host.directory() / fmt::format("idle-{}-opened", name_of(family));
    const std::filesystem::path told = host.directory() / fmt::format("idle-{}-told", name_of(family));
    const std::string script = "exec 3<>\"/dev/tcp/$1/$2\" && : > \"$3\" && until [ -e \"$4\" ]; do sleep 0.05; done && "
                               "printf 'GET /small.txt HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
    auto process = Process::start(host.command({"bash", "-c", script, "idle", std::string{place_of("trap").address(family)},
                                                std::to_string(service_port), opened.string(), told.string()}));
    if (!process)
      return process.error();
    if (!wait_until(opening, [&] { return std::filesystem::exists(opened); }))
      return Error{"it was not opened"};
    return IdleConnection{opened, told, std::move(*process)};
  }

  Result<Finished> speak() {
    std::ofstream{told} << "now\n";
    return process.wait(answering);
  }
};

void expect_answer(Scene& scene, IdleConnection& idle, Family family) {
  const std::string what = fmt::format("{}, under a flood of ACKs", name_of(family));
  const auto before = scene.trap().server().counters();
  const auto flood = Flood::start(scene.trap().topology(), {family, FloodKind::ack, "trap", service_port});
  if (!scene.check(static_cast<bool>(flood), what + ": it begins", flood ? "" : flood.error().message))
    return;
  const auto answer = idle.speak();
  scene.check(answer && answer->exit_code == 0 && answer->output.find("200 OK") != std::string::npos,
              what + ": the idle connection is answered",
              !answer ? answer.error().message : fmt::format("exit code {}: {}{}", answer->exit_code, answer->output, answer->errors));
  const auto after = scene.trap().server().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(count_of(moved, "drop-bad-cookie") > 1000 && count_of(moved, "pass-socket") > 0, what + ": which is dropped", text_of(moved));
  const auto status = scene.trap().server().status();
  scene.check(status && status->knows_connections, what + ": the stack was not asked about each ACK", "trap-server trusts no list");
}

} // namespace

// Connections that are older than TRAP, of which it has seen no segment: its list of the stack's connections is all it knows of them.
void idle(Scene& scene) {
  if (!scene.done(scene.trap().server().detach(), "trap-server is not there"))
    return;
  std::vector<IdleConnection> connections;
  for (const Family family : families) {
    auto opened = IdleConnection::start(scene.host("stranger"), family);
    if (!scene.check(static_cast<bool>(opened), fmt::format("{}: a connection is opened and says nothing", name_of(family)),
                     opened ? "" : opened.error().message))
      return;
    connections.push_back(std::move(*opened));
  }
  scene.done(scene.trap().server().start(), "trap-server comes");
  const bool knows = wait_until(learning, [&] {
    const auto status = scene.trap().server().status();
    return status && status->knows_connections;
  });
  scene.check(knows, "it learns which connections the stack has", "it trusts no list");
  for (std::size_t i = 0; i < connections.size(); i++)
    expect_answer(scene, connections[i], families[i]);
}

} // namespace trap::lab::plays
