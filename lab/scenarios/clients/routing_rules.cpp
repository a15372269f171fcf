// SPDX-License-Identifier: Apache-2.0
// Rules and routes of the client's host that are about the backend, or a prefix of it, and not
// about the public address: a connect ends as it would without the module. Where the kernel would
// lead it elsewhere than to the TRAP server, or nowhere, it is served at once; where rules are for
// other sockets, it is redirected as ever.
#include <fmt/format.h>

#include "lab/programs/dial.h"
#include "lab/scenarios/clients/uplinks.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view unused = "spare0", its_end = "spare";
constexpr std::uint32_t own_mark = 0x77;
constexpr uid_t own_user = 65534;
constexpr int rule_table = 77, rule_priority = 1000;
constexpr milliseconds before_a_repeated_syn{900};

// "{B}" is the backend, "{G}" the gateway of eth0, and "{C}" this host's own address.
struct Routing {
  std::string_view selector; // of a rule; empty: there is none, and the route is in table main
  std::string_view then;     // what the rule does
  std::string_view route;    // in the table that it looks up; empty: none
  bool leads_elsewhere;
};

constexpr std::string_view looks_up = "lookup 77", to_none = "unreachable {B}";

constexpr Routing routings[] = {
    // Rules that are for the connect.
    {"to {B}", looks_up, to_none, true},
    {"fwmark 0x77 to {B}", looks_up, to_none, true},
    {"fwmark 0x70/0xf0 to {B}", looks_up, to_none, true},
    {"not fwmark 0x78 to {B}", looks_up, to_none, true}, // all of it is inverted
    {"not fwmark 0x78", looks_up, to_none, true},
    {"uidrange 65534-65534 to {B}", looks_up, to_none, true},
    {"uidrange 65534-65534", looks_up, to_none, true},
    {"from {C} to {B}", looks_up, to_none, true},
    {"iif lo to {B}", looks_up, to_none, true},
    {"ipproto tcp to {B}", looks_up, to_none, true},
    {"to {B} dport 80", looks_up, to_none, true},
    {"to {B} sport 1024-65000", looks_up, to_none, true},
    // What they can do, and what a table can hold.
    {"uidrange 65534-65534 to {B}", "unreachable", "", true},
    {"fwmark 0x77 to {B}", "blackhole", "", true},
    {"to {B}", "prohibit", "", true},
    {"uidrange 65534-65534", looks_up, "blackhole {B}", true},
    {"fwmark 0x77", looks_up, "prohibit {B}", true},
    {"uidrange 65534-65534", looks_up, "{B} dev spare0", true},
    {"uidrange 65534-65534", looks_up, "throw {B}", false},
    {"uidrange 65534-65534", looks_up, "{B} via {G} dev eth0", false},
    {"uidrange 65534-65534 to {B}", looks_up, "", false}, // and the next rule has a route
    {"", "", "unreachable {B}", true},
    {"", "", "blackhole {B}", true},
    {"", "", "{B} dev spare0", true},
    // Rules that are for other sockets.
    {"fwmark 0x78 to {B}", looks_up, to_none, false},
    {"uidrange 1-1000 to {B}", looks_up, to_none, false},
    {"iif spare0 to {B}", looks_up, to_none, false},
    {"oif spare0 to {B}", looks_up, to_none, false},
    {"ipproto udp to {B}", looks_up, to_none, false},
    {"to {B} dport 81", looks_up, to_none, false},
};

// At a TRAP server that resets there is no other way: the connect fails, and at once.
constexpr Routing routings_that_fail[] = {
    {"uidrange 65534-65534 to {B}", looks_up, to_none, true},
    {"fwmark 0x77", looks_up, "{B} dev spare0", true},
    {"uidrange 1-1000 to {B}", looks_up, to_none, false},
};

std::string replace(std::string_view text, std::string_view name, std::string_view value) {
  std::string made{text};
  for (auto at = made.find(name); at != std::string::npos; at = made.find(name))
    made.replace(at, name.size(), value);
  return made;
}

std::string fill_in(std::string_view text, Family family) {
  const HostAddresses& client = addresses_of("client");
  const std::string backend{addresses_of("service").address(family)};
  const std::string length = family == Family::ipv4 ? "/32" : "/128";
  return replace(replace(replace(text, "{B}", backend + length), "{G}",
                         family == Family::ipv4 ? client.ipv4_gateway : client.ipv6_gateway),
                 "{C}", client.address(family));
}

std::string title_of(const Routing& routing) {
  const std::string route{routing.route.empty() ? "no route" : routing.route};
  return routing.selector.empty() ? route
                                  : fmt::format("{} {}, {}", routing.selector, routing.then, route);
}

bool change(Scene& scene, const Routing& routing, std::string_view verb) {
  bool done = true;
  for (const Family family : families) {
    std::string batch;
    if (!routing.selector.empty())
      batch += fmt::format("rule {} priority {} {} {}\n", verb, rule_priority,
                           fill_in(routing.selector, family), routing.then);
    if (!routing.route.empty())
      batch += fmt::format("route {} {} table {}\n", verb, fill_in(routing.route, family),
                           routing.selector.empty() ? "main" : std::to_string(rule_table));
    if (const auto result = scene.host("client").ip(batch, family == Family::ipv4 ? "-4" : "-6");
        !result)
      done = scene.done(result, fmt::format("{}: {}", title_of(routing), verb));
  }
  return done;
}

struct Attempt {
  Result<Reply> reply;
  milliseconds took;
  Counters client;

  [[nodiscard]] std::string text() const {
    return fmt::format("{} after {} ms; {}", reply ? reply->text : reply.error().message,
                       took.count(), text_of(client));
  }
};

Attempt attempt(Scene& scene, Family family) {
  const auto before = scene.trap().read();
  const auto begin = std::chrono::steady_clock::now();
  auto reply = dial(scene.host("client"), addresses_of("trap").address(family), service_port,
                    "/small.txt", {.mark = own_mark, .user = own_user});
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto after = scene.trap().read();
  return {std::move(reply), std::chrono::duration_cast<milliseconds>(took),
          before && after ? difference(*before, *after).client : Counters{}};
}

// The first connect, and one that knows the redirect.
void expect_end(Scene& scene, const Routing& routing, bool serves) {
  for (const Family family : families) {
    for (const bool is_first : {true, false}) {
      const Attempt made = attempt(scene, family);
      const bool got = made.reply && made.reply->text.starts_with("HTTP/1.1 200");
      const bool wanted = serves || !routing.leads_elsewhere;
      const std::string_view verdict = !routing.leads_elsewhere
                                           ? is_first ? "reply-reissued-syn" : "pass-syn-ticketed"
                                       : serves ? "pass-offer-declined"
                                                : "pass-redirect-refused";
      scene.check(got == wanted && made.took < before_a_repeated_syn &&
                      count_of(made.client, verdict) == 1,
                  fmt::format("{}, {}, {} connect: {}", name_of(family), title_of(routing),
                              is_first ? "first" : "next", verdict),
                  made.text());
    }
  }
}

// A port that comes again meets the TIME-WAIT of an earlier connect, and a SYN of a connection that
// the TRAP server's host has is left to its stack.
bool is_new_with_each_connect(Scene& scene) {
  return scene.done(scene.host("trap").set("ipv4/tcp_max_tw_buckets", "0"),
                    "the TRAP server's host keeps no TIME-WAIT");
}

void play(Scene& scene, std::span<const Routing> all, bool serves) {
  if (!is_new_with_each_connect(scene) || !plug(scene, unused, its_end) ||
      !scene.done(scene.host("client").ip(fmt::format("link set {} up\n", unused)),
                  "another interface, that leads nowhere, is up"))
    return;
  for (const Routing& routing : all) {
    if (!change(scene, routing, "add"))
      return;
    let_routes_be_seen();
    scene.forget_redirects();
    expect_end(scene, routing, serves);
    change(scene, routing, "delete");
  }
}

bool has_problem(Scene& scene, std::string_view begin) {
  const auto status = scene.trap().client().status();
  return status && std::ranges::any_of(status->problems, [&](const std::string& problem) {
           return problem.starts_with(begin);
         });
}

// More than the programs have room for: redirects are followed as if there were none of them, and
// the status says so.
void expect_word_of_too_many(Scene& scene) {
  constexpr int too_many = 4200;
  constexpr std::string_view problem = "redirects are followed without a look at this host's rules";
  std::string added, deleted;
  for (int i = 0; i < too_many; i++) {
    const std::string route =
        fmt::format("unreachable 192.168.{}.{}/32 table {}\n", i / 256, i % 256, rule_table);
    added += "route add " + route;
    deleted += "route delete " + route;
  }
  scene.done(scene.host("client").ip(added), fmt::format("{} routes come", too_many));
  scene.check(becomes([&] { return has_problem(scene, problem); }, milliseconds{5000}),
              "they are too many, which is a problem", "there is none");
  scene.done(scene.host("client").ip(deleted), "they go");
  scene.check(becomes([&] { return !has_problem(scene, problem); }, milliseconds{5000}),
              "so does the problem", "it is there still");
}

const Registration register_rules{{
    .name = "routing-rules",
    .goal = "rules and routes for the backend, by mark, user and all else, are followed as the "
            "kernel would: by being served",
    .plan = relayed_plan(),
    .play = [](Scene& scene) { play(scene, routings, true); },
}};

const Registration register_rules_that_fail{{
    .name = "routing-rules-reset",
    .goal = "the same at a TRAP server that resets: a connect that has no way fails at once",
    .play =
        [](Scene& scene) {
          play(scene, routings_that_fail, false);
          expect_word_of_too_many(scene);
        },
}};

} // namespace
} // namespace trap::lab
