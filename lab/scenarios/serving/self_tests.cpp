// SPDX-License-Identifier: Apache-2.0
// Handshakes of the daemon's own: in a neighbour's name they tell that the way is open, in the name
// of clients whose handshakes are lost they tell a ban from a way that loses them. Where there can
// be none, TRAP says so.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>

#include "lab/hosts/plain_socket.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::seconds;

constexpr int port = 8080;
constexpr seconds healing{12}, patience{30};
constexpr std::uint64_t enough_losses = 24; // TRAP judges by eight

std::string service() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"tested\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     endpoint(trap.ipv4, port), endpoint(trap.ipv6, port));
}

class SelfTests {
public:
  explicit SelfTests(Scene& scene) : scene_(scene) {}

  void play() {
    for (const Family family : families) {
      auto listener = listen_at(host(), addresses_of("trap").address(family), port);
      if (!scene_.check(static_cast<bool>(listener), "there is a listener",
                        listener ? "" : listener.error().message))
        return;
      listeners_.push_back(std::move(*listener));
    }
    expect_result("passed", "an open way");
    expect_no_loss_by_ban();
    expect_loss_of_clients_alone();
    expect_untested();
    expect_untestable();
  }

private:
  [[nodiscard]] const Host& host() const { return scene_.host("trap"); }

  Result<void> shell(const std::string& lines) {
    auto done = run_checked(host().command({"sh", "-ec", lines}), seconds{5});
    if (!done)
      return done.error();
    return {};
  }

  // Before the rules of a host that are in `rules`; empty: none.
  bool filter(std::string_view rules, std::string_view what) {
    Command nft = host().command({"nft", "-f", "-"});
    nft.input = "table inet wall {\n}\ndelete table inet wall\n";
    if (!rules.empty())
      nft.input += fmt::format("table inet wall {{\nchain in {{\n"
                               "type filter hook input priority 0;\n{}\n}}\n}}\n",
                               rules);
    auto done = run_checked(nft, seconds{5});
    return scene_.check(static_cast<bool>(done), std::string{what},
                        done ? "" : done.error().message);
  }

  // Of both addresses.
  std::vector<ServiceStatus> services() {
    const auto status = scene_.trap().server().status();
    std::vector<ServiceStatus> found;
    for (const Family family : families)
      if (status)
        if (const auto at = std::ranges::find(status->services,
                                              endpoint(addresses_of("trap").address(family), port),
                                              &ServiceStatus::address);
            at != status->services.end())
          found.push_back(*at);
    return found;
  }

  bool have(const std::function<bool(const ServiceStatus&)>& so) {
    const auto all = services();
    return all.size() == std::size(families) && std::ranges::all_of(all, so);
  }

  void expect_result(std::string_view result, std::string_view when) {
    const auto so = [&] {
      return have([&](const ServiceStatus& service) { return service.self_test == result; });
    };
    const bool is_so = becomes(so, healing);
    const auto all = services();
    scene_.check(is_so, fmt::format("{}: tests are \"{}\"", when, result),
                 all.empty() ? "no status" : fmt::format("it is \"{}\"", all.front().self_test));
  }

  [[nodiscard]] std::string problems() {
    const auto status = scene_.trap().server().status();
    std::string lines;
    for (const std::string& problem : status ? status->problems : std::vector<std::string>{})
      lines += problem + "; ";
    return status ? lines : "no status; ";
  }

  // Clients that never speak, and end with a reset: a FIN would complete the handshake later on.
  void come() {
    constexpr linger at_once = {.l_onoff = 1, .l_linger = 0};
    for (const Family family : families)
      if (auto client =
              connect_from(scene_.host("stranger"), addresses_of("trap").address(family), port)) {
        setsockopt(client->get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        clients_.push_back(std::move(*client));
      }
  }

  // Neither the clients nor the neighbour of the daemon's test are let in.
  void expect_no_loss_by_ban() {
    if (!filter("iif eth0 tcp dport 8080 drop", "a firewall bans all who come"))
      return;
    scene_.done(scene_.trap().server().start_afresh(), "the server starts afresh");
    expect_result("unknown", "banned as well");
    const auto is_enough = [&] {
      come();
      return have([](const ServiceStatus& service) {
        return service.handshakes_lost >= enough_losses || service.cookies != "own";
      });
    };
    scene_.check(becomes(is_enough, patience), "their handshakes are lost", "they are not");
    scene_.check(have([](const ServiceStatus& service) { return service.cookies == "own"; }) &&
                     problems().find("became connections") == std::string::npos,
                 "TRAP's cookies go on to answer", problems());
    clients_.clear();
    filter("", "the firewall goes");
  }

  // The neighbour gets through, which nobody else does, though the stack answers all.
  void expect_loss_of_clients_alone() {
    const HostAddresses& trap = addresses_of("trap");
    const std::string rules =
        fmt::format("ip saddr {} accept; ip6 saddr {} accept\n"
                    "tcp dport 8080 tcp flags & (fin|syn|rst|ack) != syn ct state new drop;",
                    trap.ipv4_gateway, trap.ipv6_gateway);
    scene_.done(scene_.trap().server().start_afresh(), "the server starts afresh");
    expect_result("passed", "afresh");
    if (!filter(rules, "a firewall loses the handshakes of all but the neighbour"))
      return;
    const auto are_left = [&] {
      come();
      return have([](const ServiceStatus& service) { return service.cookies == "stack"; });
    };
    scene_.check(becomes(are_left, healing), "the stack answers", "it does not");
    scene_.check(problems().find("went up to the stack, 0 became connections") != std::string::npos,
                 "a problem says so", problems());
    clients_.clear();
    filter("", "the firewall goes");
  }

  // As long as the listener has not answered the daemon, nothing is tested.
  void expect_untested() {
    scene_.done(scene_.trap().server().detach(), "the server goes");
    if (!filter("iif lo tcp dport 8080 drop", "the listener does not hear this host"))
      return;
    scene_.done(scene_.trap().server().start(), "the server starts");
    expect_result("untested", "a listener that does not answer");
    filter("", "the listener hears again");
    expect_result("passed", "it answers");
  }

  void expect_untestable() {
    scene_.done(scene_.trap().server().detach(), "the server goes");
    scene_.done(shell("ip address del 127.0.0.1/8 dev lo"), "the host has no address of loopback");
    scene_.done(scene_.trap().server().start(), "the server starts");
    expect_result("unknown", "no way to test");
    scene_.check(problems().find("no handshakes of its own can test the way of clients: cannot "
                                 "listen at 127.0.0.1") != std::string::npos,
                 "a problem says so", problems());
    scene_.done(scene_.trap().server().detach(), "the server goes");
    scene_.done(shell("ip address add 127.0.0.1/8 dev lo"), "the address is back");
    scene_.done(scene_.trap().server().start(), "the server starts");
    expect_result("passed", "with the address");
    scene_.check(problems().find("no handshakes of its own") == std::string::npos,
                 "the problem is gone", problems());
  }

  Scene& scene_;
  std::vector<Fd> listeners_, clients_;
};

const Registration register_self_tests{{
    .name = "self-tests",
    .goal = "handshakes of the daemon's own tell bans from lost handshakes, or it says that there "
            "are none",
    .plan = {.backends = false, .server_keys = service()},
    .play = [](Scene& scene) { SelfTests(scene).play(); },
}};

} // namespace
} // namespace trap::lab
