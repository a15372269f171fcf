// SPDX-License-Identifier: Apache-2.0
// Listeners that cookies suit badly, that are not there, or that are far away.
#include <algorithm>

#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/plain_socket.h"
#include "lab/network/listener_choice.h"
#include "lab/scenarios/scenario.h"
#include "lab/scenarios/serving/equality.h"

namespace trap::lab {
namespace {

constexpr int port = 8080;
constexpr std::chrono::seconds learning{5}; // listeners are looked at once a second

std::string service() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"own\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     endpoint(trap.ipv4, port), endpoint(trap.ipv6, port));
}

// The part that answers its clients' SYNs: "own", "kernel", "stack".
std::string answerer(Scene& scene, Family family) {
  const auto status = scene.trap().server().status();
  const std::string address = endpoint(addresses_of("trap").address(family), port);
  for (const ServiceStatus& each : status ? status->services : std::vector<ServiceStatus>{})
    if (each.address == address)
      return each.cookies;
  return "";
}

void expect_answerer(Scene& scene, Family family, std::string_view wanted,
                     const std::string& what) {
  const bool so = becomes([&] { return answerer(scene, family) == wanted; }, learning);
  scene.check(so, fmt::format("{}: its clients are answered by \"{}\"", what, wanted),
              fmt::format("by \"{}\"", answerer(scene, family)));
}

void expect_problem(Scene& scene, std::string_view words, const std::string& what) {
  const auto is_there = [&] {
    const auto status = scene.trap().server().status();
    return status && std::ranges::any_of(status->problems, [&](const std::string& problem) {
             return problem.find(words) != std::string::npos;
           });
  };
  scene.check(becomes(is_there, learning),
              fmt::format("{}: status names a problem: {}", what, words), "it does not");
}

void expect_conversation(Scene& scene, Family family, const Fd& listener, const std::string& what) {
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), port);
  const auto sent = client ? send_all(*client, "word") : client.error();
  const auto accepted = sent ? accept_from(listener) : sent.error();
  const auto heard = accepted ? receive(*accepted, 4) : accepted.error();
  scene.check(heard && *heard == "word", what + ": a client is heard",
              heard ? *heard : heard.error().message);
}

struct Case {
  std::string_view what;
  ListenerKind kind;
  std::string_view syncookies;
  std::string_view answerer;
  std::string_view problem; // words of it; empty: none
};

void expect_case(Scene& scene, Family family, const Case& each) {
  const std::string what = fmt::format("{}, {}", name_of(family), each.what);
  scene.done(scene.host("trap").set("ipv4/tcp_syncookies", each.syncookies),
             fmt::format("{}: tcp_syncookies is {}", what, each.syncookies));
  ListenerKind kind = each.kind;
  if (!kind.signs_with.empty())
    kind.signs_with = addresses_of("client").address(family);
  const auto listener =
      listen_at(scene.host("trap"), addresses_of("trap").address(family), port, kind);
  if (!scene.check(static_cast<bool>(listener), what + ": it listens",
                   listener ? "" : listener.error().message))
    return;
  expect_answerer(scene, family, each.answerer, what);
  if (!each.problem.empty())
    expect_problem(scene, each.problem, what);
  expect_conversation(scene, family, *listener, what);
}

void expect_refusal(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, nothing listens", name_of(family));
  expect_answerer(scene, family, "stack", what);
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), port);
  scene.check(!client && client.error().message.find("refused") != std::string::npos,
              what + ": a client is refused", client ? "it connects" : client.error().message);
}

// What trapctl doctor says of the services' ports.
std::string doctor(Scene& scene) {
  const auto said =
      run(scene.host("trap").command({(program_directory() / "trapctl").string(), "doctor",
                                      "--part", "server", "--config",
                                      scene.trap().server().configuration_file().string()}),
          std::chrono::seconds{20});
  return said ? said->output : said.error().message;
}

// A listener of another address and port, to which a program leads clients.
void expect_steered(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a listener elsewhere", name_of(family));
  const bool is_v4 = family == Family::ipv4;
  const Host& trap = scene.host("trap");
  const auto listener = listen_at(trap, is_v4 ? "127.0.0.1" : "::1", port + 1);
  if (!scene.check(static_cast<bool>(listener), what + ": it listens",
                   listener ? "" : listener.error().message))
    return;
  const auto steering = lead_to_listener(trap, is_v4 ? AF_INET : AF_INET6, port, *listener);
  scene.check(static_cast<bool>(steering), what + ": a program leads clients to it",
              steering ? "" : steering.error().message);
  expect_answerer(scene, family, "own", what);
  expect_conversation(scene, family, *listener, what);
  const std::string at = endpoint(addresses_of("trap").address(family), port);
  const std::string said = doctor(scene);
  scene.check(said.find(fmt::format("service \"own\" listens at {}", at)) != std::string::npos,
              what + ": trapctl doctor says so", said);
}

void listeners(Scene& scene) {
  const Case cases[] = {
      {"an ordinary listener", {}, "1", "own", ""},
      {"an MPTCP listener", {.multipath = true}, "2", "kernel", "MPTCP"},
      {"an MPTCP listener", {.multipath = true}, "1", "stack", "tcp_syncookies=2"},
      {"a listener with signatures", {.signs_with = "client"}, "1", "stack", "TCP-MD5"},
  };
  scene.done(scene.host("trap").set("mptcp/enabled", "1"), "MPTCP is on");
  for (const Family family : families)
    for (const Case& each : cases)
      expect_case(scene, family, each);
  for (const Family family : families)
    expect_refusal(scene, family);
  for (const Family family : families)
    expect_steered(scene, family);
  scene.done(scene.host("trap").set("ipv4/tcp_syncookies", "1"), "as is usual");
  expect_equality(scene, port, port + 1);
}

const Registration register_listeners{{
    .name = "listeners",
    .goal = "MPTCP, signatures and no listener at all: clients are answered as that allows",
    .plan = {.backends = false, .server_keys = service()},
    .play = listeners,
}};

} // namespace
} // namespace trap::lab
