// SPDX-License-Identifier: Apache-2.0
// The network of the client's host changes under connections that were redirected, and under
// connects: gateways, routes, the link and addresses go and come. Everything ends as it would
// without the module.
#include <thread>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/programs/dial.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/clients/uplinks.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds transfer_deadline{60000}, while_it_lasts{1500};
constexpr std::string_view other_ipv4 = "192.0.2.5", other_ipv6 = "2001:db8:2::5";

// {4} and {6} are this host's addresses, {G} and {H} its gateways, {I} and {J} two more names of
// the same router.
struct Change {
  std::string_view what, begins, ends;
};

constexpr std::string_view home = "address replace {4}/26 dev eth0\n"
                                  "address replace {6}/64 dev eth0 nodad\n"
                                  "route replace default via {G} dev eth0\n"
                                  "route replace ::/0 via {H} dev eth0\n";

constexpr Change changes[] = {
    {"another gateway",
     "route replace default via {I} dev eth0\nroute replace ::/0 via {J} dev eth0\n", home},
    {"no route", "route del default\nroute del ::/0\n", home},
    {"a route for the public address alone",
     "route add 203.0.113.0/24 via {I} dev eth0\nroute add 2001:db8:113::/64 via {J} dev eth0\n",
     "route del 203.0.113.0/24\nroute del 2001:db8:113::/64\n"},
    {"the link goes down", "link set eth0 down\n", "link set eth0 up\n"},
    {"the addresses go", "address del {4}/26 dev eth0\naddress del {6}/64 dev eth0\n", ""},
    {"the addresses are deprecated, and others preferred",
     "address change {4}/26 dev eth0 preferred_lft 0\n"
     "address change {6}/64 dev eth0 preferred_lft 0\n"
     "address add {K}/26 dev eth0\naddress add {L}/64 dev eth0 nodad\n",
     "address del {K}/26 dev eth0\naddress del {L}/64 dev eth0\n"
     "address change {4}/26 dev eth0 preferred_lft forever\n"
     "address change {6}/64 dev eth0 preferred_lft forever\n"},
};

std::string fill_in(std::string_view text) {
  const HostAddresses& client = addresses_of("client");
  const std::pair<std::string_view, std::string_view> names[] = {
      {"{4}", client.ipv4},         {"{6}", client.ipv6}, {"{G}", client.ipv4_gateway},
      {"{H}", client.ipv6_gateway}, {"{I}", "192.0.2.3"}, {"{J}", "2001:db8:2::3"},
      {"{K}", other_ipv4},          {"{L}", other_ipv6}};
  std::string made{text};
  for (const auto& [name, value] : names)
    for (auto at = made.find(name); at != std::string::npos; at = made.find(name))
      made.replace(at, name.size(), value);
  return made;
}

std::vector<Transfer> begin_downloads(Scene& scene) {
  std::vector<Transfer> transfers;
  for (const Family family : families) {
    auto transfer = Transfer::start(
        scene.host("client"), {Deployment::public_url(family, "/slow/5mb.bin"), transfer_deadline});
    if (scene.check(transfer && Scene::wait_until_under_way(*transfer),
                    fmt::format("{}: a download is under way", name_of(family)), "nothing comes"))
      transfers.push_back(std::move(*transfer));
  }
  return transfers;
}

void expect_downloads(Scene& scene, std::vector<Transfer>& transfers, std::string_view what) {
  for (Transfer& transfer : transfers) {
    const auto response = transfer.finish();
    scene.check(response && response->complete() &&
                    same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
                fmt::format("{}: a download goes on", what),
                response ? response->text() : response.error().message);
  }
}

void expect_served(Scene& scene, const std::string& what, std::string_view local = {}) {
  for (const Family family : families) {
    const std::string from = local.empty()            ? std::string{}
                             : family == Family::ipv4 ? std::string{other_ipv4}
                                                      : std::string{other_ipv6};
    const auto response =
        fetch(scene.host("client"),
              {.url = Deployment::public_url(family, "/small.txt"), .local_address = from});
    scene.check(response && response->complete() && response->total_s < 0.9,
                fmt::format("{}, {}: a new connection at once", name_of(family), what),
                response ? response->text() : response.error().message);
  }
}

// Connects that begin before the change, and end behind it.
std::vector<std::jthread> begin_connects(Scene& scene, std::vector<std::string>& failures) {
  failures.assign(std::size(families), "");
  std::vector<std::jthread> connects;
  for (std::size_t i = 0; i < std::size(families); i++)
    connects.emplace_back([&scene, &failures, i] {
      const auto reply = dial(scene.host("client"), addresses_of("trap").address(families[i]),
                              service_port, "/small.txt", {});
      if (!reply)
        failures[i] = reply.error().message;
    });
  return connects;
}

// The router loses every packet from the client for as long as `lost`.
bool lose(Scene& scene, bool lost) {
  bool done = true;
  for (const char* family : {"-4", "-6"})
    done &= static_cast<bool>(scene.host("router").ip(
        fmt::format("rule {} iif client priority 9 blackhole\n", lost ? "add" : "delete"), family));
  return done;
}

void play_change(Scene& scene, const Change& change) {
  expect_served(scene, fmt::format("before: {}", change.what));
  std::vector<Transfer> transfers = begin_downloads(scene);
  std::vector<std::string> failures;
  scene.check(lose(scene, true), "the router loses packets", "it does not");
  std::vector<std::jthread> connects = begin_connects(scene, failures);
  std::this_thread::sleep_for(milliseconds{300});
  scene.done(scene.host("client").ip(fill_in(change.begins)), change.what);
  scene.check(lose(scene, false), "and loses none any more", "it does");
  std::this_thread::sleep_for(while_it_lasts);
  scene.done(scene.host("client").ip(fill_in(change.ends) + fill_in(home)), "and all is as before");
  connects.clear();
  for (std::size_t i = 0; i < failures.size(); i++)
    scene.check(
        failures[i].empty(),
        fmt::format("{}, {}: a connect under way succeeds", name_of(families[i]), change.what),
        failures[i]);
  expect_downloads(scene, transfers, change.what);
  let_routes_be_seen();
  expect_served(scene, fmt::format("after: {}", change.what));
}

void network_changes(Scene& scene) {
  const HostAddresses& client = addresses_of("client");
  const std::string mac = text_of(client.router_mac());
  scene.done(scene.host("client").ip(
                 fmt::format("neigh replace 192.0.2.3 lladdr {0} dev eth0 nud permanent\n"
                             "neigh replace 2001:db8:2::3 lladdr {0} dev eth0 nud permanent\n",
                             mac)),
             "the router has more names");
  for (const Change& change : changes)
    play_change(scene, change);
  scene.done(scene.host("client").ip(fill_in("address add {K}/26 dev eth0\n"
                                             "address add {L}/64 dev eth0 nodad\n")),
             "the host has more addresses");
  for (int i = 0; i < 2; i++)
    expect_served(scene, "from a bound address", "other");
}

const Registration register_network_changes{{
    .name = "network-changes",
    .goal = "gateways, routes, the link and addresses change under connections and connects, which "
            "end as without the module",
    .plan = relayed_plan(),
    .play = network_changes,
}};

} // namespace
} // namespace trap::lab
