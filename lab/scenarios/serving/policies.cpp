// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "lab/hosts/process.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/scenarios/serving/answers.h"

namespace trap::lab {
namespace {

// As policies_text() has them: kept on serve, led to the pool of service-2, with a class of its own
// at the default pool, and one that no policy names.
struct PolicedClients {
  std::string served, pooled, classed, other;
};

PolicedClients clients_of(Family family) {
  if (family == Family::ipv4)
    return {"192.0.2.10", "192.0.2.17", "192.0.2.34", "192.0.2.2"};
  return {"2001:db8:2::10", "2001:db8:2::17", "2001:db8:2::34", "2001:db8:2::2"};
}

Reading moved_by_visit(Scene& scene, Family family, const std::string& local,
                       const std::string& host, const std::string& what) {
  const auto before = scene.trap().read();
  const std::string answer = answering_host(scene, family, local);
  const auto after = scene.trap().read();
  scene.check(answer == host, fmt::format("{}: gets the document of {}", what, host), answer);
  return before && after ? difference(*before, *after) : Reading{};
}

void denied(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a denied network", name_of(family));
  const Visit visit = scene.visit("stranger", Deployment::public_url(family, "/small.txt"),
                                  std::chrono::seconds{2});
  scene.check(visit.response.exit_code == curl_timed_out && visit.response.connect_s == 0,
              what + ": gets no answer", visit.response.text());
  scene.check(count_of(visit.moved.server, "drop-denied") > 0 &&
                  count_of(visit.moved.server, "reply-syn-ack") == 0,
              what + ": the server dropped its SYNs", text_of(visit.moved.server));
}

// The class of the first client has room for a few packets a second.
void classed(Scene& scene, Family family, const PolicedClients& clients) {
  for (const auto& [local, is_held] : {std::pair{clients.classed, true}, {clients.other, false}}) {
    const std::string what = fmt::format("{}, a client {} a class of its own", name_of(family),
                                         is_held ? "with" : "without");
    Request request{Deployment::public_url(family, "/5mb.bin"),
                    std::chrono::milliseconds{is_held ? 500 : 10000}};
    request.local_address = local;
    const auto before = scene.trap().read();
    const auto response = fetch(scene.host("client"), request);
    const auto after = scene.trap().read();
    const Counters moved = before && after ? difference(*before, *after).guard : Counters{};
    scene.check(response && response->complete() != is_held,
                fmt::format("{}: a download {}", what, is_held ? "stalls" : "is done"),
                response ? response->text() : response.error().message);
    scene.check(count_of(moved, "pass-ticket") == 1 &&
                    (count_of(moved, "drop-client-packets") > 0) == is_held,
                fmt::format("{}: {}", what, is_held ? "is held to its limit" : "is not held to it"),
                text_of(moved));
  }
}

// Waits until one of the daemon's problems has all of these words.
bool says(const Daemon& daemon, const std::vector<std::string>& words) {
  const auto is_said = [&] {
    const auto status = daemon.status();
    return status && std::ranges::any_of(status->problems, [&](const std::string& problem) {
             return std::ranges::all_of(words, [&](const std::string& word) {
               return problem.find(word) != std::string::npos;
             });
           });
  };
  return becomes(is_said, std::chrono::seconds{6});
}

// A scope at the server that is not the guard's shuts clients out; both sides say so, each for both
// families.
void other_scope(Scene& scene) {
  Daemon &server = scene.trap().server(), &guard = scene.trap().guard();
  const auto before = server.status();
  scene.check(before && before->problems.empty(), "the server has no complaint of its guards",
              before && !before->problems.empty() ? before->problems.front() : "");
  DeploymentPlan other = scene.trap().plan();
  other.backend_keys = "  scope_v4 = 24\n  scope_v6 = 48\n";
  scene.done(server.configure(server_text(other)), "a configuration with other scopes is written");
  scene.done(server.reload(), "the server takes other scopes");
  for (const Family family : families) {
    Request request{Deployment::public_url(family, "/small.txt"), std::chrono::milliseconds{400}};
    request.local_address = family == Family::ipv4 ? "192.0.2.50" : "2001:db8:2::50";
    const auto response = fetch(scene.host("client"), request);
    scene.check(response && !response->complete(),
                fmt::format("{}, other scopes: a new client is shut out at first", name_of(family)),
                response ? response->text() : "");
  }
  for (const auto& [address, scope, key] :
       {std::tuple{"198.51.100.20:80", 24, "scope_v4 = 24"},
        std::tuple{"[2001:db8:51::20]:80", 48, "scope_v6 = 48"}}) {
    scene.check(says(server, {fmt::format("backend {}: ", address), "SYN with a ticket", key}),
                fmt::format("other scopes: the server names backend {}", address), "it does not");
    scene.check(says(guard, {fmt::format("takes a /{} ", scope), key}),
                fmt::format("other scopes: the guard names scope /{}", scope), "it does not");
  }
}

// A tag that is not of the guard's pool: the server's own try of a ticket tells.
void other_tag(Scene& scene) {
  Daemon& server = scene.trap().server();
  DeploymentPlan other = scene.trap().plan();
  other.second_tag = 8;
  scene.done(server.configure(server_text(other)), "a configuration with another tag is written");
  scene.done(server.reload(), "the server takes another tag");
  for (const std::string backend : {"198.51.100.36:80", "[2001:db8:52::20]:80"})
    scene.check(says(server, {fmt::format("backend {}: ", backend), "[[pool]]", "have tag 8"}),
                fmt::format("another tag: the server names backend {}", backend), "it does not");
}

void policies(Scene& scene) {
  scene.done(scene.host("client").ip(
                 "address add 192.0.2.10/32 dev eth0\naddress add 192.0.2.17/32 dev eth0\n"
                 "address add 192.0.2.34/32 dev eth0\naddress add 192.0.2.50/32 dev eth0\n"
                 "address add 2001:db8:2::50/64 dev eth0 nodad\n"
                 "address add 2001:db8:2::34/64 dev eth0 nodad\n"
                 "address add 2001:db8:2::10/64 dev eth0 nodad\naddress add 2001:db8:2::17/64 dev "
                 "eth0 nodad\n"),
             "the client has more addresses");
  for (const Family family : families) {
    denied(scene, family);
    const PolicedClients clients = clients_of(family);
    const std::string what{name_of(family)};

    const Reading served =
        moved_by_visit(scene, family, clients.served, "service", what + ", a client to be served");
    scene.check(count_of(served.server, "reply-redirect") == 0 &&
                    count_of(served.server, "pass-cookie") == 1,
                what + ", a client to be served: is, though it has the module",
                text_of(served.server));
    const Reading pooled = moved_by_visit(scene, family, clients.pooled, "service-2",
                                          what + ", a client with a pool of its own");
    scene.check(count_of(pooled.server, "reply-redirect") == 1,
                what + ", a client with a pool of its own: is redirected into it",
                text_of(pooled.server));
    const Reading other =
        moved_by_visit(scene, family, clients.other, "service", what + ", any other client");
    scene.check(count_of(other.server, "reply-redirect") == 1,
                what + ", any other client: is redirected to the default pool",
                text_of(other.server));
    classed(scene, family, clients);
  }
  other_scope(scene);
  other_tag(scene);
}

// Every action by prefix, in both families; service-2 is the pool "partners", for the guards too.
// Tickets have other scopes than usual.
DeploymentPlan policies_plan() {
  DeploymentPlan plan = relayed_plan();
  plan.two_backends = true;
  plan.second_pool = "partners";
  for (const auto& [action, prefixes] :
       {std::pair{"deny", R"("192.0.2.64/26", "2001:db8:66::/48")"},
        std::pair{"serve", R"("192.0.2.10", "2001:db8:2::10")"},
        std::pair{"pool", R"("192.0.2.16/28", "2001:db8:2::17/128")"}})
    plan.policies +=
        fmt::format("  [[service.policy]]\n  action = \"{}\"\n{}  prefixes = [{}]\n", action,
                    std::string_view{action} == "pool" ? "  pool = \"partners\"\n" : "", prefixes);
  plan.policies += "  [[service.policy]]\n  action = \"pool\"\n  tag = 7\n"
                   "  prefixes = [\"192.0.2.32/28\", \"2001:db8:2::34\"]\n";
  plan.second_tag = 9;
  plan.guard_keys = "[[pool]]\nname = \"partners\"\n"
                    "addresses = [\"198.51.100.36\", \"2001:db8:52::20\"]\ntags = [9]\n"
                    "[[class]]\nname = \"few-packets\"\ntags = [7]\npackets_per_s = 10\n";
  plan.backend_keys = plan.guarded_keys = "  scope_v4 = 28\n  scope_v6 = 124\n";
  return plan;
}

const Registration register_policies{{
    .name = "policies",
    .goal = "client prefixes are denied, served, led to a pool, or in a class of their own",
    .plan = policies_plan(),
    .play = policies,
}};

} // namespace
} // namespace trap::lab
