// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <poll.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

// The lab's budget is 5 a second, and a bucket holds 10 s of it.
constexpr int handshakes = 300;
constexpr std::uint64_t budget = 50, passed_at_most = 100, dropped_at_least = 200;

// A bot with a real stack: completes handshakes as fast as it can and keeps the connections.
// Returns how many it believes to have.
Result<int> complete_handshakes(const Host& host, Family family) {
  const InHost inside{host};
  if (!inside.entered())
    return Error{"cannot enter " + host.name()};
  socklen_t length = 0;
  const sockaddr_storage target =
      socket_address(addresses_of("trap").address(family), service_port, length);
  std::vector<Fd> sockets;
  std::vector<pollfd> waiting;
  for (int i = 0; i < handshakes; i++) {
    sockets.emplace_back(::socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(sockets.back().get(), reinterpret_cast<const sockaddr*>(&target), length) != 0 &&
        errno != EINPROGRESS)
      return Error{"connect: " + error_text(errno)};
    waiting.push_back({sockets.back().get(), POLLOUT, 0});
  }
  int completed = 0;
  becomes([&] {
    poll(waiting.data(), waiting.size(), 0);
    completed = static_cast<int>(
        std::ranges::count_if(waiting, [](const pollfd& one) { return one.revents == POLLOUT; }));
    return completed == handshakes;
  });
  return completed;
}

void bot(Scene& scene, Family family) {
  const std::string what{name_of(family)};
  const auto before = scene.trap().server().counters();
  const auto completed = complete_handshakes(scene.host("attacker"), family);
  const auto after = scene.trap().server().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(completed && *completed == handshakes,
              fmt::format("{}: a bot completes {} handshakes", what, handshakes),
              completed ? fmt::format("{} of them", *completed) : completed.error().message);
  const std::uint64_t passed = count_of(moved, "pass-cookie");
  scene.check(passed >= budget && passed <= passed_at_most,
              what + ": some fifty of them come through", text_of(moved));
  scene.check(count_of(moved, "drop-client-budget") >= dropped_at_least,
              what + ": the rest is beyond its budget", text_of(moved));
  for (const std::string_view host : {"stranger", "client"}) {
    const Visit visit = scene.visit(host, Deployment::public_url(family, "/5mb.bin"));
    scene.expect_whole(visit, family, download_bytes,
                       fmt::format("{}, {} beside the bot", what, host));
    scene.check(count_of(visit.moved.server, host == "client" ? "reply-redirect" : "pass-cookie") >
                    0,
                fmt::format("{}, {} beside the bot: has a budget of its own", what, host),
                text_of(visit.moved.server));
  }
}

void budgets(Scene& scene) {
  for (const Family family : families)
    bot(scene, family);
}

DeploymentPlan budgets_plan() {
  DeploymentPlan plan = relayed_plan();
  plan.server_keys = "[budget]\nclient_handshakes_per_s = 5\n";
  return plan;
}

const Registration register_budgets{{
    .name = "budgets",
    .goal = "a bot that completes too many handshakes harms no other client",
    .plan = budgets_plan(),
    .run_class = RunClass::busy,
    .play = budgets,
}};

} // namespace
} // namespace trap::lab
