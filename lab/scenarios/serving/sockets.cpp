// SPDX-License-Identifier: Apache-2.0
// Programs that want something of their sockets, at the public address and at an ordinary server.
#include <fmt/format.h>

#include "lab/programs/dial.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/reset_watch.h"

namespace trap::lab {
namespace {

constexpr int repetitions = 20;
constexpr std::string_view fast_open_of_every_listener = "1027"; // cookies are given and taken
constexpr std::uint16_t first_port = 45000;

struct Case {
  std::string_view name;
  Manner manner;
  int times = 1;
};

// The end that closes first keeps the connection in TIME_WAIT: with HTTP/1.0 that is the server,
// which a SYN of the same ports must satisfy. A reset leaves nothing at either end.
constexpr Case cases[] = {
    {"a plain connect", {}, 3},
    {"a non-blocking connect", {.non_blocking = true}, 3},
    {"TCP Fast Open", {.fast_open = true}, 4},
    {"an MPTCP socket", {.multipath = true}, 3},
    {"a bound source port", {.source_port = first_port}, 1},
    {"one source port again and again", {.source_port = first_port + 1}, repetitions},
    {"one source port again and again, after resets",
     {.reset_at_end = true, .source_port = first_port + 2},
     repetitions},
};

struct Target {
  std::string_view dialled, answering;
};

// `forget`: the module must ask the TRAP server each time.
void expect_case(Scene& scene, const Case& each, const Target& target, Family family, bool forget) {
  const std::string_view address = addresses_of(target.dialled).address(family);
  std::string wrong;
  for (int time = 1; time <= each.times && wrong.empty(); time++) {
    if (forget)
      if (const auto flushed = scene.trap().client().control({"redirects", "flush"});
          !flushed || flushed->exit_code != 0)
        wrong = "trapctl redirects flush failed";
    const auto reply = dial(scene.host("client"), address, service_port, "/small.txt", each.manner);
    if (!reply)
      wrong = fmt::format("time {}: {}", time, reply.error().message);
    else if (!reply->text.ends_with(fmt::format("\r\n\r\n{}\n", target.answering)))
      wrong = fmt::format("time {}: it got {}", time, reply->text);
    else if (reply->peer != endpoint(address, service_port))
      wrong = fmt::format("time {}: getpeername() shows {}", time, reply->peer);
  }
  scene.check(wrong.empty(),
              fmt::format("{}, {}{}: {}{}",
                          target.dialled == "trap" ? "through TRAP" : "an ordinary server",
                          name_of(family), forget ? ", nothing learnt" : "", each.name,
                          each.times > 1 ? fmt::format(", {} times", each.times) : ""),
              wrong);
}

void sockets(Scene& scene) {
  scene.trap().stop_nginx("service");
  for (const std::string_view host : {"client", "service", "plain"}) {
    scene.done(scene.host(host).set("ipv4/tcp_fastopen", fast_open_of_every_listener),
               fmt::format("TCP Fast Open is on at {}", host));
    scene.done(scene.host(host).set("mptcp/enabled", "1"), fmt::format("MPTCP is on at {}", host));
  }
  scene.done(scene.trap().start_nginx("service"), "the service listens again");
  const auto plain = Nginx::start(scene.host("plain"), {service_port});
  if (!scene.check(static_cast<bool>(plain), "an ordinary server is there",
                   plain ? "" : plain.error().message))
    return;
  for (const Family family : families) {
    auto resets = ResetWatch::start_at_stack(scene.host("client"));
    for (const bool forget : {true, false})
      for (const Case& each : cases)
        expect_case(scene, each, {"trap", "service"}, family, forget);
    for (const Case& each : cases)
      expect_case(scene, each, {"plain", "plain"}, family, false);
    scene.check(resets && resets->count() == 0,
                fmt::format("{}: not one reset reached the stack", name_of(family)),
                "there were some");
  }
}

const Registration register_sockets{{
    .name = "sockets",
    .goal = "non-blocking, Fast Open, MPTCP, bound and repeated ports",
    .play = sockets,
}};

} // namespace
} // namespace trap::lab
