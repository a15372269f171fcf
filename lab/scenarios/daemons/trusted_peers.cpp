// SPDX-License-Identifier: Apache-2.0
// trap-guard's trusted peers and its reload: what a reload lets in and shuts out, an invalid one
// that changes nothing, and fifty of them while a trusted peer connects.
#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include <sys/socket.h>
#include <sys/time.h>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/hosts/listening.h"
#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr DaemonKind guard = DaemonKind::guard;
constexpr milliseconds before_second_syn{800};
constexpr int reloads = 50, connections_at_least = 50;

// The protected host is the daemons' host; the neighbour has two addresses of each family.
struct Peer {
  std::string_view ipv4, ipv6;
};
constexpr Peer host_itself{DaemonHost::address, "2001:db8::20"};
constexpr Peer first{DaemonHost::neighbour_address, "2001:db8::1"};
constexpr Peer second{"203.0.113.3", "2001:db8::2"};

Result<Process> start_listener(const Host& host, int port) {
  return Process::start(host.command(
      {"python3", "-c",
       fmt::format("import socket\n"
                   "listener = socket.create_server(('::', {}), family=socket.AF_INET6, "
                   "dualstack_ipv6=True, backlog=512)\n"
                   "while True: listener.accept()[0].close()\n",
                   port)}));
}

// Connects and reads until the service closes.
bool is_served(const Host& from, const Peer& peer) {
  const InHost inside{from};
  socklen_t length = 0;
  const sockaddr_storage own = socket_address(peer.ipv4, 0, length);
  const sockaddr_storage target = socket_address(host_itself.ipv4, 80, length);
  const Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const timeval timeout{0, before_second_syn.count() * 1000};
  char byte = 0;
  return inside.entered() &&
         setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
         setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
         bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), length) == 0 &&
         connect(socket.get(), reinterpret_cast<const sockaddr*>(&target), length) == 0 &&
         recv(socket.get(), &byte, 1, 0) == 0;
}

class TrustedPeers {
public:
  TrustedPeers(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    if (!scene_.done(prepare(), "addresses, and another key"))
      return;
    auto on_80 = start_listener(host_.host(), 80), on_81 = start_listener(host_.host(), 81);
    scene_.check(on_80 && on_81, "services listen at ports 80 and 81", "they do not");
    configure(key_, "", {80});
    if (!host_.start(guard))
      return;
    host_.expect_to_become(
        "yes", [&] { return std::string{connects(first.ipv4, host_itself.ipv4, 81)}; },
        "a port that is not protected is open");
    who_gets_in();
    refused_reloads();
    services_and_keys();
    many_reloads();
    scene_.equal("ok", host_.status(guard).value("state", ""), "nothing is wrong");
  }

private:
  Result<void> prepare() {
    if (auto done =
            host_.host().ip(fmt::format("address add {}/64 dev trap0 nodad\n", host_itself.ipv6));
        !done)
      return done;
    if (auto done = host_.neighbour().ip(
            fmt::format("address add {}/24 dev trap1\naddress add {}/64 dev trap1 nodad\n"
                        "address add {}/64 dev trap1 nodad\n",
                        second.ipv4, first.ipv6, second.ipv6));
        !done)
      return done;
    const std::string master = (host_.host().directory() / "other.master").string();
    const Finished made = host_.run_program("trapctl", {"key", "generate", master});
    const Finished derived = host_.run_program(
        "trapctl", {"key", "derive", "web-1", "--master", master, "--output", other_key_});
    if (made.exit_code != 0 || derived.exit_code != 0)
      return Error{made.errors + derived.errors};
    return {};
  }

  static std::string text(const std::string& key, const std::string& trusted,
                          const std::vector<int>& ports) {
    std::string text = fmt::format("uncovered = \"accept\"\nsecret_file = \"{}\"\n"
                                   "trap_servers = [\"203.0.113.99\"]\n",
                                   key);
    if (!trusted.empty())
      text += fmt::format("trusted = [{}]\n", trusted);
    for (const int port : ports)
      text += fmt::format("[[service]]\nname = \"port-{0}\"\nport = {0}\n", port);
    return text;
  }

  void write(const std::string& text) {
    if (auto written = host_.daemon(guard).configure(text, R"("trap0")"); !written)
      scene_.check(false, "write guard.toml", written.error().message);
  }

  void configure(const std::string& key, const std::string& trusted,
                 const std::vector<int>& ports) {
    write(text(key, trusted, ports));
  }

  std::string_view connects(std::string_view from, std::string_view to, int port) {
    return trap::lab::connects(host_.neighbour(), to, port, before_second_syn, from) ? "yes" : "no";
  }

  // Of both families, to port 80.
  std::string gets_in(const Peer& peer) {
    return fmt::format("{} {}", connects(peer.ipv4, host_itself.ipv4, 80),
                       connects(peer.ipv6, host_itself.ipv6, 80));
  }

  void expect_reload(const std::string& pattern, std::string_view what) {
    const Finished done = host_.control(guard, {"reload", "guard"});
    const std::string said = done.output + done.errors;
    scene_.check(count_lines(said, "") == 1 && count_lines(said, pattern) == 1, what, said);
  }

  void who_gets_in() {
    scene_.equal("no no", gets_in(first), "no peer is trusted unless configured");
    scene_.equal("[]", host_.status(guard)["trusted"].dump(), "and none is listed");
    configure(key_, R"("203.0.113.2", "2001:db8::1/128")", {80});
    expect_reload("trusted \\+203\\.0\\.113\\.2/32 \\+2001:db8::1/128",
                  "a reload tells of peers that came");
    scene_.equal("yes yes", gets_in(first), "trusted peers get in");
    scene_.equal("no no", gets_in(second), "their neighbours do not");
    const json status = host_.status(guard);
    scene_.check(status["counters"].value("pass-trusted", 0) >= 2, "they are counted",
                 status["counters"].dump());
    scene_.equal(R"(["203.0.113.2/32","2001:db8::1/128"])", status["trusted"].dump(), "and listed");
    expect_reload("nothing has changed", "a reload of the same changes nothing");
  }

  void refused_reloads() {
    const std::string same_port_twice =
        text(key_, R"("203.0.113.2")", {80}) + "[[service]]\nname = \"port-81\"\nport = 80\n";
    write(same_port_twice);
    expect_reload("guard\\.toml:[0-9]+: ",
                  "an invalid configuration is refused with file and line");
    scene_.equal("yes yes 1",
                 fmt::format("{} {} {}", connects(first.ipv6, host_itself.ipv6, 80),
                             connects(second.ipv4, host_itself.ipv4, 81),
                             host_.status(guard)["services"].size()),
                 "and nothing has changed");
    configure((host_.host().directory() / "missing.key").string(), "", {80});
    expect_reload("missing\\.key", "a key file that is missing is refused");
    configure(key_, "", {80});
    std::string elsewhere;
    {
      std::ifstream file{host_.daemon(guard).configuration_file()};
      elsewhere.assign(std::istreambuf_iterator<char>{file}, {});
    }
    const std::string pins = host_.daemon(guard).pin_directory().string();
    elsewhere.replace(elsewhere.find(pins), pins.size(), "/sys/fs/bpf/elsewhere");
    scene_.done(write_text(host_.daemon(guard).configuration_file(), elsewhere),
                "another pin_dir is configured");
    expect_reload("pin_dir from .*--detach", "a key that needs --detach is refused");
    scene_.equal("yes", connects(first.ipv4, host_itself.ipv4, 80), "and no peer lost its trust");
  }

  void services_and_keys() {
    configure(other_key_, R"("203.0.113.2")", {81});
    const std::string epochs = host_.status(guard)["keys"]["epochs_held"].dump();
    expect_reload("trusted -2001:db8::1/128; service \\+port-81 -port-80; new key",
                  "a reload tells what went");
    scene_.equal("yes no yes no",
                 fmt::format("{} {} {} {}", connects(second.ipv4, host_itself.ipv4, 80),
                             connects(second.ipv4, host_itself.ipv4, 81),
                             connects(first.ipv4, host_itself.ipv4, 81),
                             connects(first.ipv6, host_itself.ipv6, 81)),
                 "the other port is protected now");
    scene_.equal(epochs, host_.status(guard)["keys"]["epochs_held"].dump(),
                 "a new key has the same epochs");
    configure(key_, R"("203.0.113.2")", {80});
    host_.daemon(guard).hang_up();
    host_.expect_to_become(
        "80", [&] { return host_.status(guard)["services"][0].value("port", json{}).dump(); },
        "SIGHUP is a reload");
  }

  void many_reloads() {
    std::atomic<bool> enough = false;
    std::atomic<int> done = 0, failed = 0;
    std::thread peer([&] {
      while (!enough)
        (is_served(host_.neighbour(), first) ? done : failed)++;
    });
    int refused = 0;
    for (int i = 0; i < reloads; i++) {
      if (i % 2 == 0)
        configure(other_key_, R"("10.0.0.0/8", "203.0.113.2", "2001:db8::/64")", {81, 80});
      else
        configure(key_, R"("203.0.113.2")", {80});
      refused += host_.control(guard, {"reload", "guard"}).exit_code != 0 ? 1 : 0;
    }
    enough = true;
    peer.join();
    scene_.equal("0", std::to_string(refused), fmt::format("{} reloads are accepted", reloads));
    scene_.check(done >= connections_at_least, "a trusted peer connects all the while",
                 fmt::format("{} times", done.load()));
    scene_.equal("0", std::to_string(failed.load()), "the reloads cost it no connection");
    const json counters = host_.status(guard)["services"][0]["counters"];
    scene_.check(counters.value("pass-trusted", 0) >= done.load(), "and the counters went on",
                 counters.dump());
  }

  Scene& scene_;
  DaemonHost& host_;
  std::string key_ = guard_key_file("service");
  std::string other_key_ = (host_.host().directory() / "other.key").string();
};

void trusted_peers(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    TrustedPeers{scene, *host}.play();
}

const Registration register_trusted_peers{{
    .name = "trusted-peers",
    .goal = "a guard's reload lets peers in and shuts them out, or changes nothing",
    .plan = daemons_plan(),
    .play = trusted_peers,
}};

} // namespace
} // namespace trap::lab
