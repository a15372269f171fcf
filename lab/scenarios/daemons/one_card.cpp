// SPDX-License-Identifier: Apache-2.0
// One host, invited clients only: trap-server answers at its public addresses, and trap-guard
// stands in front of the services of the same host, at the same interface. Each is stopped, killed,
// reloaded and detached beside the other, while a stranger knocks at a service without pause.
#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// Service "web" leads to another port of its own address, "docs" to its own port at another
// address of the host.
constexpr int hidden_port = 8081, docs_port = 81;
constexpr auto npos = std::string::npos;
constexpr milliseconds command_deadline{30000}, soon{5000}, silence{300};

std::string server_text_here() {
  std::string text =
      fmt::format("xdp_mode = \"native\"\nmaster_key_file = \"{}\"\n", master_key_file());
  const HostAddresses& trap = addresses_of("trap");
  const auto service = [&](std::string_view name, int port, std::string_view v4,
                           std::string_view v6, int target) {
    text += fmt::format("[[service]]\nname = \"{}\"\naddresses = [\"{}\", \"{}\"]\n"
                        "unaware = \"reset\"\n",
                        name, endpoint(trap.ipv4, port), endpoint(trap.ipv6, port));
    for (const std::string_view address : {v4, v6})
      text += fmt::format("  [[service.backend]]\n  address = \"{}\"\n  guard = \"web-1\"\n",
                          endpoint(address, target));
  };
  service("web", service_port, trap.ipv4, trap.ipv6, hidden_port);
  service("docs", docs_port, inner_ipv4, inner_ipv6, docs_port);
  return text;
}

std::string guard_text_here() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("xdp_mode = \"native\"\nsecret_file = \"{}\"\n"
                     "trap_servers = [\"{}\", \"{}\"]\nmanagement_ports = []\n"
                     "[[service]]\nname = \"web\"\nport = {}\n"
                     "[[service]]\nname = \"docs\"\nport = {}\n",
                     guard_key_file("service"), trap.ipv4, trap.ipv6, hidden_port, docs_port);
}

class OneCard {
public:
  OneCard(Scene& scene, Daemon server, Daemon guard, Daemon client)
      : scene_(scene), server_(std::move(server)), guard_(std::move(guard)),
        client_(std::move(client)) {}

  void play() {
    const auto nginx =
        Nginx::start(scene_.host("trap"), {service_port, docs_port, hidden_port, open_port});
    if (!scene_.check(bool(nginx), "nginx runs on the host", nginx ? "" : nginx.error().message) ||
        !scene_.done(client_.launch(), "the client starts") ||
        !scene_.done(guard_.start(), "the guard starts, alone"))
      return;
    scene_.equal("true [] []", chain_of(guard_), "the guard's program is the only one");
    link_ = link();
    begin_knocking();
    if (!scene_.done(server_.start(), "the server starts at the same interface") ||
        !scene_.done(client_.wait_until_ready(), "the client is ready"))
      return;
    expect_both("both run");
    expect_service("both run");
    expect_announcements();
    lose_daemons();
    leave_in_turns();
  }

private:
  std::string link() {
    auto shown = run(scene_.host("trap").command({"bpftool", "link", "show", "pinned",
                                                  (guard_.pin_directory() / "link-eth0").string()}),
                     command_deadline);
    return shown ? shown->output.substr(0, shown->output.find(':')) : shown.error().message;
  }

  json status_of(Daemon& daemon) {
    auto shown = daemon.control({"status", std::string{name_of(daemon.kind())}, "--json"});
    return shown ? json::parse(shown->output, nullptr, false) : json{};
  }

  std::string chain_of(Daemon& daemon) {
    const json status = status_of(daemon);
    if (!status.is_object() || !status.contains("interfaces"))
      return "no status";
    const json& interface = status["interfaces"][0];
    return fmt::format("{} {} {}", interface.value("attached", false),
                       interface.value("xdp_before", json::array()).dump(),
                       interface.value("xdp_behind", json::array()).dump());
  }

  bool is_well(Daemon& daemon) { return status_of(daemon).value("state", "") == "ok"; }

  void expect_both(std::string_view when) {
    const bool come = becomes(
        [&] {
          return chain_of(server_) == R"(true [] ["trap_guard"])" &&
                 chain_of(guard_) == R"(true ["trap_server"] [])" && is_well(server_) &&
                 is_well(guard_);
        },
        soon);
    scene_.check(come, fmt::format("{}: status of each names the other's program", when),
                 fmt::format("{}; {}; {}; {}", chain_of(server_), chain_of(guard_),
                             status_of(server_)["problems"].dump(),
                             status_of(guard_)["problems"].dump()));
    scene_.equal(link_, link(), fmt::format("{}: the link is the same", when));
  }

  Response get(std::string_view from, std::string_view address, int port, milliseconds deadline) {
    auto response = fetch(scene_.host(from),
                          {fmt::format("http://{}/small.txt", endpoint(address, port)), deadline});
    if (response)
      return *response;
    Response none;
    none.error = response.error().message;
    return none;
  }

  // An invited client comes in by either service, a stranger by none. A client that completes a
  // handshake is announced, so the stranger does so by IPv6 alone, and knocks by IPv4.
  void expect_service(std::string_view when) {
    const auto flushed = client_.control({"redirects", "flush"});
    scene_.check(flushed && flushed->exit_code == 0,
                 fmt::format("{}: the client starts afresh", when),
                 flushed ? flushed->errors : flushed.error().message);
    const HostAddresses& trap = addresses_of("trap");
    for (const Family family : families)
      for (const int port : {service_port, docs_port}) {
        const std::string what = fmt::format("{}: {}, port {}", when, name_of(family), port);
        const Response response = get("client", trap.address(family), port, milliseconds{4000});
        scene_.check(response.complete(), what + ": an invited client comes in", response.text());
      }
    const Response refused = get("stranger", trap.ipv6, service_port, soon);
    scene_.check(refused.exit_code == curl_refused || refused.exit_code == curl_reset,
                 fmt::format("{}: a stranger is reset at the public address", when),
                 refused.text());
    const Response hidden = get("stranger", inner_ipv4, docs_port, silence);
    scene_.check(hidden.exit_code == curl_timed_out && hidden.connect_s == 0,
                 fmt::format("{}: it gets no answer from the service itself", when), hidden.text());
  }

  // For clients whose tickets get lost. They do not leave the host.
  void expect_announcements() {
    const auto accepted = [&] {
      const auto counters = guard_.counters();
      return counters ? count_of(*counters, "announce-accepted") : 0;
    };
    const bool come = becomes([&] { return accepted() >= 4; }, soon);
    scene_.check(come, "the guard hears of the clients of both services and families",
                 fmt::format("{} announcements", accepted()));
  }

  void lose_daemons() {
    for (Daemon* daemon : {&server_, &guard_}) {
      const std::string name = fmt::format("trap-{}", name_of(daemon->kind()));
      daemon->kill();
      expect_service(name + " was killed");
      scene_.done(daemon->start(), name + " starts again");
      scene_.done(daemon->reload(), name + " reloads");
      expect_both(name + " was started again");
    }
  }

  void leave_in_turns() {
    scene_.done(server_.detach(), "the server detaches");
    scene_.equal("true [] []", chain_of(guard_), "the guard's program is the only one again");
    scene_.equal(link_, link(), "and the link is the same");
    const Response other =
        get("stranger", addresses_of("trap").ipv4, service_port, command_deadline);
    scene_.check(other.complete(), "a port that no part protects answers a stranger", other.text());
    scene_.done(server_.start(), "the server comes back");
    expect_both("the server came back");
    expect_no_answer();
    scene_.done(guard_.detach(), "the guard detaches");
    scene_.equal("true [] []", chain_of(server_), "the server's program is the only one");
    const Response open = get("stranger", addresses_of("trap").ipv4, hidden_port, command_deadline);
    scene_.check(open.complete(), "the service answers a stranger now", open.text());
    static_cast<void>(get("attacker", addresses_of("trap").ipv4, service_port, soon));
    const bool told = becomes(
        [&] { return status_of(server_)["problems"].dump().find("no guard hears") != npos; }, soon);
    scene_.check(told, "the server says that no guard hears its announcements",
                 status_of(server_)["problems"].dump());
    scene_.done(guard_.start(), "the guard comes back, as the second");
    link_ = link();
    expect_both("the guard came back");
    expect_service("the guard came back");
  }

  // SYNs without a ticket to the hidden service until expect_no_answer().
  void begin_knocking() {
    auto process = Process::start(
        scene_.host("stranger")
            .command({"hping3", "--quiet", "--numeric", "-S", "--count", "100000", "--interval",
                      "u2000", "--destport", std::to_string(hidden_port),
                      std::string{addresses_of("trap").ipv4}}));
    if (scene_.check(bool(process), "a stranger knocks 500 times a second",
                     process ? "" : process.error().message))
      knocking_.emplace(std::move(*process));
  }

  void expect_no_answer() {
    if (!knocking_)
      return;
    const Finished finished = knocking_->stop(SIGINT, milliseconds{2000});
    const std::string said = finished.output + finished.errors;
    int sent = -1, received = -1;
    if (const std::size_t at = said.find("statistic ---\n"); at != std::string::npos)
      std::sscanf(said.c_str() + at, "statistic ---\n%d packets tra%*[a-z], %d packets received",
                  &sent, &received);
    scene_.check(sent >= 500 && received == 0, "no knock of the stranger was answered",
                 fmt::format("{} sent, {} answers: {}", sent, received, said));
  }

  Scene& scene_;
  Daemon server_, guard_, client_;
  std::optional<Process> knocking_;
  std::string link_;
};

void one_card(Scene& scene) {
  auto server = Daemon::prepare(DaemonKind::server, scene.host("trap"), server_text_here());
  auto guard = Daemon::prepare(DaemonKind::guard, scene.host("trap"), guard_text_here());
  auto client =
      Daemon::prepare(DaemonKind::client, scene.host("client"), "allow_private_targets = false\n");
  if (scene.check(server && guard && client, "server, guard and client have configurations",
                  "they have not"))
    OneCard{scene, std::move(*server), std::move(*guard), std::move(*client)}.play();
}

const Registration register_one_card{{
    .name = "one-card",
    .goal = "server and guard share an interface, and either may go without the other",
    .plan = {.started = false},
    .play = one_card,
}};

} // namespace
} // namespace trap::lab
