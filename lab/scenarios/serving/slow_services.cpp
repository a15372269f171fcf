// SPDX-License-Identifier: Apache-2.0
// Services that accept clients too slowly, or not at all: the queue of the listener is full.
#include <algorithm>
#include <cerrno>
#include <optional>
#include <sstream>
#include <vector>

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"
#include "lab/hosts/plain_socket.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int port = 8080, plain_port = 8081;
constexpr std::chrono::seconds learning{6}; // queues are looked at once a second
constexpr milliseconds patience{1500};      // a SYN is repeated after a second
constexpr std::string_view is_full = "is full", was_full = "was full within the last minute";

std::string service() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"slow\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     endpoint(trap.ipv4, port), endpoint(trap.ipv6, port));
}

std::string problems(Scene& scene) {
  const auto status = scene.trap().server().status();
  return status ? fmt::format("{}", fmt::join(status->problems, "; ")) : status.error().message;
}

// True once a problem of the address has these words, or none has.
bool names(Scene& scene, Family family, std::string_view words, bool wanted = true) {
  const std::string address = endpoint(addresses_of("trap").address(family), port);
  return becomes(
      [&] {
        const auto status = scene.trap().server().status();
        return status && std::ranges::any_of(status->problems, [&](const std::string& problem) {
                           return problem.find(words) != std::string::npos &&
                                  problem.find(address) != std::string::npos;
                         }) == wanted;
      },
      learning);
}

// TRAP answers a client, which the listener's queue gets.
bool is_answered(Scene& scene, Family family, const Fd& listener) {
  const auto before = scene.trap().server().counters();
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), port);
  const auto accepted = client ? accept_from(listener) : client.error();
  const auto after = scene.trap().server().counters();
  return before && accepted && after &&
         count_of(*after, "reply-syn-ack") > count_of(*before, "reply-syn-ack");
}

// The queue of the service that nobody accepts from.
struct Queue {
  std::string_view what;
  int backlog;
  int room; // clients that it takes
};

constexpr Queue queues[] = {
    {"a queue of one place", 0, 1}, {"a backlog of 1", 1, 2}, {"a backlog of 5", 5, 6}};

std::vector<Fd> fill(Scene& scene, Family family, int at, int clients) {
  std::vector<Fd> connections;
  for (int i = 0; i < clients; i++)
    if (auto client =
            connect_from(scene.host("stranger"), addresses_of("trap").address(family), at))
      connections.push_back(std::move(*client));
  return connections;
}

void drain(const Fd& listener, int clients) {
  for (int i = 0; i < clients; i++)
    (void)accept_from(listener);
}

// A client that comes to the full queue is heard once there is room, as without TRAP.
void expect_patience(Scene& scene, Family family, const Fd& listener, int in_front,
                     const std::string& what) {
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), port);
  const auto sent = client ? send_all(*client, "word") : client.error();
  scene.check(static_cast<bool>(sent), what + ": one more client sends its request",
              sent ? "" : sent.error().message);
  scene.check(names(scene, family, is_full), what + ": status names the full queue",
              problems(scene));
  drain(listener, in_front);
  const auto accepted = accept_from(listener);
  const auto heard = accepted ? receive(*accepted, 4) : accepted.error();
  scene.check(heard && *heard == "word", what + ": once there is room, it is heard",
              heard ? *heard : heard.error().message);
  scene.check(names(scene, family, was_full) && names(scene, family, is_full, false),
              what + ": status names what was dropped", problems(scene));
}

void expect_queue(Scene& scene, Family family, const Queue& queue, const std::string& hook) {
  const std::string what = fmt::format("{}, {}, {}", hook, name_of(family), queue.what);
  const std::string_view address = addresses_of("trap").address(family);
  const ListenerKind kind = {.backlog = queue.backlog};
  const auto listener = listen_at(scene.host("trap"), address, port, kind);
  const auto plain = listen_at(scene.host("trap"), address, plain_port, kind);
  if (!scene.check(listener && plain, what + ": it listens", "it cannot") ||
      !scene.check(becomes([&] { return is_answered(scene, family, *listener); }),
                   what + ": TRAP answers its clients", problems(scene)))
    return;
  const auto waiting = fill(scene, family, plain_port, queue.room);
  scene.check(!connects(scene.host("stranger"), address, plain_port, patience),
              what + ": without TRAP, one more client gets no answer", "it does");
  const auto served = fill(scene, family, port, queue.room);
  scene.check(waiting.size() == served.size(), what + ": as many connect as without TRAP", "");
  expect_patience(scene, family, *listener, queue.room, what);
}

// Clients that come faster than the service takes them, in a flood: the service is too slow, and
// the way to it is sound.
void expect_slowness(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a flood and a slow service", name_of(family));
  const std::string_view address = addresses_of("trap").address(family);
  const auto listener = listen_at(scene.host("trap"), address, port, {.backlog = 1});
  if (!scene.check(static_cast<bool>(listener), what + ": it listens", "it cannot") ||
      !scene.check(becomes([&] { return is_answered(scene, family, *listener); }),
                   what + ": TRAP answers its clients", problems(scene)))
    return;
  const auto flood =
      Flood::start(scene.trap().topology(),
                   {.family = family, .victim = "trap", .port = port, .per_second = 20'000});
  scene.check(static_cast<bool>(flood), what + ": it begins", flood ? "" : flood.error().message);
  std::vector<Fd> clients;
  bool is_named = false;
  const auto end = std::chrono::steady_clock::now() + scale_timeout(std::chrono::seconds{12});
  while (std::chrono::steady_clock::now() < end) {
    for (Fd& client : fill(scene, family, port, 4))
      clients.push_back(std::move(client)); // silent: each stays as TRAP left it
    drain(*listener, 2);
    const std::string said = problems(scene);
    is_named = is_named || said.find(was_full) != std::string::npos ||
               said.find(is_full) != std::string::npos;
    sleep_for(milliseconds{100});
  }
  scene.check(is_named, what + ": status names it", problems(scene));
  scene.check(problems(scene).find("became connections") == std::string::npos,
              what + ": and does not take the drops for those of a firewall", problems(scene));
  const auto status = scene.trap().server().status();
  scene.check(status && std::ranges::all_of(
                            status->services,
                            [](const ServiceStatus& each) { return each.handshakes_lost == 0; }),
              what + ": no handshake of the sample counts as lost", problems(scene));
}

Result<void> start_with(Scene& scene, const std::string& configuration) {
  Daemon& server = scene.trap().server();
  if (auto done = server.detach(); !done)
    return done;
  if (auto done = server.configure(configuration); !done)
    return done;
  return server.start();
}

// A sample of the daemon's metrics at the service's address; empty if it has none.
std::string metric(Scene& scene, Family family, std::string_view name) {
  const auto metrics =
      run_checked(scene.host("trap").command({"curl", "-sS", "--max-time", "5", "--unix-socket",
                                              scene.trap().server().control_socket().string(),
                                              "http://trap/metrics"}),
                  std::chrono::seconds{10});
  const std::string address = endpoint(addresses_of("trap").address(family), port);
  std::istringstream lines{metrics ? *metrics : ""};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(fmt::format("{}{{", name)) && line.find(address) != std::string::npos)
      return line.substr(line.rfind(' ') + 1);
  return "";
}

std::string at_peace(std::string configuration) {
  constexpr std::string_view always = "activate = \"always\"";
  configuration.replace(configuration.find(always), always.size(), "activate = \"attack\"");
  return configuration;
}

// Out of file descriptors, a server that was quick accepts nobody more.
void expect_shortage(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, at peace, out of file descriptors", name_of(family));
  const std::string_view address = addresses_of("trap").address(family);
  const auto listener = listen_at(scene.host("trap"), address, port, {.backlog = 1});
  if (!scene.check(static_cast<bool>(listener), what + ": it listens", "it cannot"))
    return;
  scene.equal("0", metric(scene, family, "trap_listener_queue_full"), what + ": all is well");
  auto clients = fill(scene, family, port, 2);
  rlimit usual{};
  getrlimit(RLIMIT_NOFILE, &usual);
  const rlimit none = {0, usual.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const bool is_short = accept(listener->get(), nullptr, nullptr) < 0 && errno == EMFILE;
  setrlimit(RLIMIT_NOFILE, &usual);
  scene.check(is_short, what + ": it cannot accept", "it can");
  scene.check(names(scene, family, is_full), what + ": status names the full queue",
              problems(scene));
  scene.equal("1", metric(scene, family, "trap_listener_queue_full"), what + ": so does a metric");
  scene.check(!connects(scene.host("stranger"), address, port, patience),
              what + ": one more client gets no answer", "it does");
  drain(*listener, 2);
  scene.check(becomes([&] {
                const std::string count = metric(scene, family, "trap_listener_overflows_total");
                return !count.empty() && count != "0";
              }),
              what + ": another metric counts what was dropped", "none");
  scene.check(names(scene, family, was_full) && names(scene, family, is_full, false),
              what + ": status names what was dropped", problems(scene));
}

// A listener's own filter drops all that comes, as a firewall would.
void expect_filter_named(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a filter that drops all", name_of(family));
  const auto listener =
      listen_at(scene.host("trap"), addresses_of("trap").address(family), port, {});
  sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog filter = {.len = 1, .filter = code};
  scene.check(listener && setsockopt(listener->get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                                     sizeof filter) == 0,
              what + ": it listens", "it cannot");
  scene.check(names(scene, family, "no answer to 3 SYNs over loopback"),
              what + ": status names the silence", problems(scene));
  scene.check(names(scene, family, is_full, false), what + ": and no full queue", problems(scene));
}

void slow_services(Scene& scene) {
  const Host& trap = scene.host("trap");
  const std::string usual = server_text(scene.trap().plan());
  for (const std::string hook : {"XDP", "tc"}) {
    if (hook == "tc" &&
        !scene.done(start_with(scene, "attach = \"tc\"\n" + usual), "trap-server starts at tc"))
      return;
    for (const Family family : families)
      for (const Queue& queue : queues)
        expect_queue(scene, family, queue, hook);
    scene.done(trap.set("core/somaxconn", "0"), "net.core.somaxconn is 0");
    expect_queue(scene, Family::ipv4, {"somaxconn 0 and a backlog of 5", 5, 1}, hook);
    scene.done(trap.set("core/somaxconn", "4096"), "net.core.somaxconn is as usual");
    scene.done(trap.set("ipv4/tcp_abort_on_overflow", "1"), "tcp_abort_on_overflow is 1");
    expect_queue(scene, Family::ipv4, {"tcp_abort_on_overflow, a backlog of 1", 1, 2}, hook);
    scene.done(trap.set("ipv4/tcp_abort_on_overflow", "0"), "tcp_abort_on_overflow is 0");
  }
  for (const Family family : families)
    expect_slowness(scene, family);
  for (const Family family : families)
    expect_filter_named(scene, family);
  if (scene.done(start_with(scene, at_peace(usual)), "trap-server starts, and rests"))
    for (const Family family : families)
      expect_shortage(scene, family);
}

const Registration register_slow_services{{
    .name = "slow-services",
    .goal = "a service that accepts too slowly is named, and its clients wait as without TRAP",
    .plan = {.backends = false, .server_keys = service()},
    .run_class = RunClass::busy,
    .play = slow_services,
}};

} // namespace
} // namespace trap::lab
