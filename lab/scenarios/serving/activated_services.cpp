// SPDX-License-Identifier: Apache-2.0
// Services that another process listens for, and that start when their first client comes: as by
// systemd's sockets, with Accept=yes (a process for each client, as inetd's) and Accept=no.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/hosts/plain_socket.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::seconds;

constexpr int port = 8080, inner_port = 7000;
constexpr std::string_view activator = "/usr/bin/systemd-socket-activate",
                           proxy = "/usr/lib/systemd/systemd-socket-proxyd";

std::string service() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"sleeping\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     endpoint(trap.ipv4, port), endpoint(trap.ipv6, port));
}

// One of the service's listeners, whose process has yet to start.
struct Activated {
  std::string_view what, sign; // of a start, in the activator's log
  std::vector<std::string> arguments;
};

std::filesystem::path log_of(Scene& scene) {
  return scene.host("trap").directory() / "activated.log";
}

bool has_started(Scene& scene, const Activated& service) {
  const auto lines = last_lines(log_of(scene), 1000);
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(service.sign) != std::string::npos; });
}

// The daemon has probed the listener and tested the way to it, and TRAP answers its clients from
// now on.
bool is_known(Scene& scene, Family family) {
  const std::string address = endpoint(addresses_of("trap").address(family), port);
  const auto status = scene.trap().server().status();
  const auto told = scene.trap().server().control(
      {"explain", "--packet",
       fmt::format("tcp {} > {} SYN",
                   endpoint(addresses_of("stranger").address(family), inner_port), address)});
  return status && told && told->output.find("reply-syn-ack") != std::string::npos &&
         std::ranges::any_of(status->services, [&](const ServiceStatus& each) {
           return each.address == address && each.listener == "ok" && each.self_test == "passed";
         });
}

Result<std::string> say_word(Scene& scene, Family family) {
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), port);
  const auto sent = client ? send_all(*client, "word") : client.error();
  return sent ? receive(*client, 4) : sent.error();
}

void expect_start(Scene& scene, Family family, const Activated& service, const std::string& hook) {
  const std::string what = fmt::format("{}, {}, {}", hook, name_of(family), service.what);
  const std::string address = endpoint(addresses_of("trap").address(family), port);
  std::error_code ignored;
  std::filesystem::remove(log_of(scene), ignored);
  std::vector<std::string> arguments = {std::string{activator}, "--listen", address};
  arguments.insert(arguments.end(), service.arguments.begin(), service.arguments.end());
  Command command = scene.host("trap").command(arguments);
  command.log = log_of(scene);
  auto process = Process::start(command);
  if (!scene.check(static_cast<bool>(process), what + ": its socket is there",
                   process ? "" : process.error().message))
    return;
  scene.check(becomes([&] { return is_known(scene, family); }),
              what + ": TRAP has looked at the listener", "it has not");
  scene.check(!has_started(scene, service), what + ": and has not started the service", "it has");
  const auto before = scene.trap().server().counters();
  for (const std::string_view each : {"first", "second"}) {
    const auto heard = say_word(scene, family);
    scene.check(heard && *heard == "word", fmt::format("{}: a {} client is served", what, each),
                heard ? *heard : heard.error().message);
  }
  scene.check(becomes([&] { return has_started(scene, service); }),
              what + ": the service started for it", "it did not");
  const auto after = scene.trap().server().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(count_of(moved, "reply-syn-ack") >= 2, what + ": TRAP answered both", text_of(moved));
  process->stop(SIGTERM, seconds{5});
}

Result<void> start_at_tc(Scene& scene) {
  Daemon& server = scene.trap().server();
  if (auto done = server.detach(); !done)
    return done;
  if (auto done = server.configure("attach = \"tc\"\n" + server_text(scene.trap().plan())); !done)
    return done;
  return server.start();
}

void activated_services(Scene& scene) {
  for (const std::string_view program : {activator, proxy})
    if (!std::filesystem::exists(program)) {
      scene.note(fmt::format("{} is missing: install systemd", program));
      return;
    }
  const Activated all[] = {
      {"Accept=yes", "Connection from", {"--accept", "--inetd", "/bin/cat"}},
      {"Accept=no",
       "Communication attempt",
       {std::string{proxy}, fmt::format("127.0.0.1:{}", inner_port)}},
  };
  Command echo =
      scene.host("trap").command({std::string{activator}, "--accept", "--inetd", "--listen",
                                  fmt::format("127.0.0.1:{}", inner_port), "/bin/cat"});
  echo.log = scene.host("trap").directory() / "echo.log";
  const auto behind_proxy = Process::start(echo);
  scene.check(static_cast<bool>(behind_proxy), "there is a service behind the proxy",
              behind_proxy ? "" : behind_proxy.error().message);
  for (const std::string hook : {"XDP", "tc"}) {
    if (hook == "tc" && !scene.done(start_at_tc(scene), "trap-server starts at tc"))
      return;
    for (const Family family : families)
      for (const Activated& service : all)
        expect_start(scene, family, service, hook);
  }
}

const Registration register_activated_services{{
    .name = "activated-services",
    .goal = "services that start with their first client sleep on until one comes, and serve it",
    .plan = {.backends = false, .server_keys = service()},
    .play = activated_services,
}};

} // namespace
} // namespace trap::lab
