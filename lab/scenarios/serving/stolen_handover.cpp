// SPDX-License-Identifier: Apache-2.0
// Neighbours on the TRAP host that lose completed handshakes: TRAP says so, and has the service
// answered in a way that works.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "lab/hosts/plain_socket.h"
#include "lab/network/tc_programs.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::seconds;

constexpr int port = 8080, translated_port = 8082, elsewhere_port = 8081;
constexpr seconds healing{12};

std::string service(std::string_view name, int at) {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"{}\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     name, endpoint(trap.ipv4, at), endpoint(trap.ipv6, at));
}

// An address of a service, and the port whose listener gets its connections during a theft.
struct Place {
  Family family;
  int at;
  int served_at;

  std::string_view address() const { return addresses_of("trap").address(family); }
};

std::string label(const Place& place, std::string_view what) {
  return fmt::format("{}, port {}, {}", name_of(place.family), place.at, what);
}

struct Theft {
  std::string_view what;
  std::string_view rules; // for nft; empty: a tcx program
  std::vector<Place> places;
  std::string_view answerer;
  std::string_view problem; // words of it
};

const Theft thefts[] = {
    {"a tcx program in front",
     "",
     {{Family::ipv4, port, port}, {Family::ipv6, port, port}},
     "kernel",
     "reached TRAP's tc program"},
    {"rules that drop and translate ACKs",
     "chain in { type filter hook input priority 0;\n"
     "tcp dport 8080 tcp flags & (fin|syn|rst|ack) != syn ct state new drop; }\n"
     "chain before { type nat hook prerouting priority dstnat;\n"
     "meta nfproto ipv4 tcp dport 8082 redirect to :8081\n"
     "ip6 daddr 2001:db8:113::10 tcp dport 8082 dnat ip6 to [2001:db8:113::10]:8081; }\n",
     {{Family::ipv4, port, port},
      {Family::ipv6, port, port},
      {Family::ipv4, translated_port, elsewhere_port},
      {Family::ipv6, translated_port, elsewhere_port}},
     "stack",
     "became connections"},
};

Result<void> load_rules(Scene& scene, std::string_view rules) {
  Command nft = scene.host("trap").command({"nft", "-f", "-"});
  nft.input = fmt::format("table inet thief {{\n}}\ndelete table inet thief\n"
                          "table inet thief {{\n{}}}\n",
                          rules);
  auto done = run_checked(nft, seconds{5});
  if (!done)
    return done.error();
  return {};
}

std::string answerer(const Status& status, const Place& place) {
  const std::string address = endpoint(place.address(), place.at);
  const auto at = std::ranges::find(status.services, address, &ServiceStatus::address);
  return at == status.services.end() ? "" : at->cookies;
}

// Clients that connect and do not speak come until all is answered as wanted.
void expect_answerer(Scene& scene, const Theft& theft) {
  std::vector<Fd> victims;
  std::vector<Place> open;
  const auto are_answered = [&] {
    const auto status = scene.trap().server().status();
    open = theft.places;
    if (status)
      std::erase_if(open,
                    [&](const Place& place) { return answerer(*status, place) == theft.answerer; });
    for (const Place& place : open)
      if (auto victim = connect_from(scene.host("stranger"), place.address(), place.at))
        victims.push_back(std::move(*victim));
    return open.empty();
  };
  scene.check(becomes(are_answered, healing),
              fmt::format("{}: clients are answered by \"{}\"", theft.what, theft.answerer),
              open.empty() ? "" : label(open.front(), "is not"));
}

// The number of its places that problems name, each with the reason and with `words`.
std::ptrdiff_t count_named(const Status& status, const Theft& theft, std::string_view words = "") {
  return std::ranges::count_if(theft.places, [&](const Place& place) {
    const std::string address = endpoint(place.address(), place.at);
    return std::ranges::any_of(status.problems, [&](const std::string& problem) {
      return problem.find(theft.problem) != std::string::npos &&
             problem.find(words) != std::string::npos && problem.find(address) != std::string::npos;
    });
  });
}

void expect_problems(Scene& scene, const Theft& theft, std::ptrdiff_t wanted) {
  const auto status = scene.trap().server().status();
  const auto count = status ? count_named(*status, theft) : -1;
  scene.check(count == wanted,
              fmt::format("{}: problems name the place for {} addresses", theft.what, wanted),
              fmt::format("for {}", count));
}

in_port_t port_of(const Fd& socket, decltype(getsockname)& name_of) {
  sockaddr_in6 name = {}; // sockaddr_in has the port in the same place
  socklen_t bytes = sizeof(name);
  name_of(socket.get(), reinterpret_cast<sockaddr*>(&name), &bytes);
  return name.sin6_port;
}

// The listener's end of a client's connection. Others may be in front of it in the queue.
Result<Fd> accept_client(const Fd& listener, const Fd& client) {
  for (;;) {
    auto accepted = accept_from(listener);
    if (!accepted || port_of(*accepted, getpeername) == port_of(client, getsockname))
      return accepted;
  }
}

using Listeners = std::map<std::pair<Family, int>, Fd>;

Result<std::string> converse(Scene& scene, const Place& place, const Fd& listener) {
  const auto client = connect_from(scene.host("stranger"), place.address(), place.at);
  const auto sent = client ? send_all(*client, "word") : client.error();
  const auto accepted = sent ? accept_client(listener, *client) : sent.error();
  return accepted ? receive(*accepted, 4) : accepted.error();
}

void expect_conversations(Scene& scene, const Theft& theft, const Listeners& listeners) {
  for (const Place& place : theft.places) {
    const auto heard = converse(scene, place, listeners.at({place.family, place.served_at}));
    scene.check(heard && *heard == "word", label(place, theft.what) + ": a client is heard",
                heard ? *heard : heard.error().message);
  }
}

// The maps follow what status says within a second.
void expect_own_cookies(Scene& scene, const Theft& theft, const Listeners& listeners,
                        std::string_view when) {
  const auto is_served = [&](const Place& place) {
    const auto before = scene.trap().server().counters();
    const auto heard = converse(scene, place, listeners.at({place.family, place.at}));
    const auto after = scene.trap().server().counters();
    return before && heard && after &&
           count_of(*after, "reply-syn-ack") > count_of(*before, "reply-syn-ack");
  };
  for (const Place& place : theft.places)
    scene.check(becomes([&] { return is_served(place); }, healing),
                fmt::format("{} {}: TRAP's cookies serve clients", label(place, when), theft.what),
                "they do not");
}

bool listen(Scene& scene, Listeners& listeners) {
  for (const Family family : families)
    for (const int at : {port, translated_port, elsewhere_port}) {
      auto listener = listen_at(scene.host("trap"), addresses_of("trap").address(family), at);
      if (!scene.check(static_cast<bool>(listener), fmt::format("port {} has a listener", at),
                       listener ? "" : listener.error().message))
        return false;
      listeners[{family, at}] = std::move(*listener);
    }
  return true;
}

void expect_neighbor(Scene& scene) {
  const auto status = scene.trap().server().status();
  const auto is_named = [](const std::string& problem) {
    return problem.find("run before TRAP's: ingress accepts") != std::string::npos;
  };
  scene.check(status && std::ranges::count_if(status->problems, is_named) == 1 &&
                  status->tc_before == std::vector<std::string>{"ingress accepts"},
              "status names the program", "it does not");
}

void play_theft(Scene& scene, const Theft& theft, const Listeners& listeners) {
  expect_own_cookies(scene, theft, listeners, "before");
  const Fd program = program_that_accepts();
  const Result<void> ready =
      theft.rules.empty() ? put_first(scene.host("trap"), "eth0", Direction::ingress, program)
                          : load_rules(scene, theft.rules);
  if (!scene.done(ready, fmt::format("there is {}", theft.what)))
    return;
  expect_answerer(scene, theft);
  expect_problems(scene, theft, std::ssize(theft.places));
  expect_conversations(scene, theft, listeners);
  if (theft.rules.empty()) {
    expect_neighbor(scene);
    scene.done(take_away(scene.host("trap"), "eth0", Direction::ingress, program),
               "the program goes");
  } else {
    scene.done(load_rules(scene, ""), "the rules go");
  }
  scene.done(scene.trap().server().reload(), "a reload has TRAP try again");
  expect_own_cookies(scene, theft, listeners, "after");
  expect_problems(scene, theft, 0);
}

// Found by the daemon's own handshakes.
const Theft strict = {
    "rules that drop what is not tracked",
    "chain in { type filter hook input priority 0; tcp dport 8080 ct state invalid drop; }\n",
    {{Family::ipv4, port, port}, {Family::ipv6, port, port}},
    "stack",
    "became connections"};

// The nat chain alone costs the service at port 80 its handshakes, and not those by the kernel's
// cookies.
void expect_kernel_cookies(Scene& scene) {
  const Place web = {Family::ipv4, service_port, service_port};
  const auto by_kernel = [&] {
    const auto status = scene.trap().server().status();
    return status && answerer(*status, web) == "kernel";
  };
  scene.check(becomes(by_kernel, healing), "with a nat chain the kernel's cookies answer",
              "they do not");
}

// No client comes: the daemon's own handshakes find it.
void expect_found_by_test(Scene& scene, const Theft& theft) {
  if (!scene.done(load_rules(scene, theft.rules), fmt::format("again: {}", theft.what)) ||
      !scene.done(scene.trap().server().reload(), "a reload has TRAP test the way"))
    return;
  const auto all_named = [&] {
    const auto status = scene.trap().server().status();
    return status && count_named(*status, theft, "handshakes of its own by interface eth0") ==
                         std::ssize(theft.places);
  };
  scene.check(becomes(all_named, healing), fmt::format("{}: tests find it", theft.what),
              "status does not name it at each address");
  if (theft.rules.find("type nat") != std::string_view::npos)
    expect_kernel_cookies(scene);
  scene.done(load_rules(scene, ""), "the rules go");
}

// The host's addresses move to a bridge, of which eth0 is a port.
Result<void> bridge_over(const Host& host) {
  auto done = run_checked(
      host.command(
          {"sh", "-ec",
           "ip link add br0 type bridge\n"
           "ip link set br0 address $(ip -o link show eth0 | sed 's/.*ether //; s/ .*//')\n"
           "ip link set br0 up\n"
           "routes=$(ip route show default; ip -6 route show default)\n"
           "addresses=$(ip -o address show dev eth0 scope global | awk '{print $4}')\n"
           "ip link set eth0 master br0\n"
           "for each in $addresses; do ip address del $each dev eth0\n"
           "case $each in *:*) ip address add $each dev br0 nodad;;\n"
           "*) ip address add $each dev br0;; esac; done\n"
           "echo \"$routes\" | awk '{print $3}' | while read -r gateway; do\n"
           "ip route replace default via $gateway dev br0; done\n"}),
      seconds{5});
  if (!done)
    return done.error();
  return {};
}

void expect_bridge(Scene& scene, const Theft& theft, const Listeners& listeners) {
  if (!scene.done(bridge_over(scene.host("trap")), "eth0 becomes a port of a bridge") ||
      !scene.done(scene.trap().server().reload(), "a reload has TRAP test the way"))
    return;
  expect_own_cookies(scene, theft, listeners, "on a bridge, no more");
  const auto passed = [&] {
    const auto status = scene.trap().server().status();
    return status && std::ranges::all_of(theft.places, [&](const Place& place) {
             const std::string address = endpoint(place.address(), place.at);
             const auto at = std::ranges::find(status->services, address, &ServiceStatus::address);
             return at != status->services.end() && at->self_test == "passed";
           });
  };
  scene.check(becomes(passed, healing), "handshakes of the daemon's own pass the bridge",
              "they do not");
}

void stolen_handover(Scene& scene) {
  scene.done(scene.host("trap").set("ipv4/tcp_syncookies", "2"), "the kernel sends cookies");
  Listeners listeners;
  if (!listen(scene, listeners))
    return;
  for (const Theft& theft : thefts)
    play_theft(scene, theft, listeners);
  expect_found_by_test(scene, thefts[1]);
  scene.done(scene.host("trap").set("netfilter/nf_conntrack_tcp_loose", "0"),
             "connections that were not seen to begin are invalid");
  expect_found_by_test(scene, strict);
  // Tracking alone does no harm.
  scene.done(scene.host("trap").set("netfilter/nf_conntrack_tcp_loose", "1"), "as is usual");
  scene.done(load_rules(scene, "chain in { type filter hook input priority 0; ct state new; }\n"),
             "connections are tracked");
  expect_bridge(scene, thefts[0], listeners);
}

const Registration register_stolen_handover{{
    .name = "stolen-handover",
    .goal = "what loses completed handshakes is named, and clients are served all the same",
    .plan = {.backends = false,
             .server_keys = service("own", port) + service("translated", translated_port)},
    .play = stolen_handover,
}};

} // namespace
} // namespace trap::lab
