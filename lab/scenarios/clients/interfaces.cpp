// SPDX-License-Identifier: Apache-2.0
// Interfaces of the client's host that come, go and come back, that have no link layer, or that
// only a pattern names; and routes and addresses that change meanwhile.
#include <algorithm>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/network/tunnel.h"
#include "lab/programs/dial.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/clients/uplinks.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds transfer_deadline{40000};
constexpr int degraded = 4;

constexpr Uplink spare{"spare0",      "spare",           "198.18.66.2",
                       "198.18.66.1", "2001:db8:166::2", "2001:db8:166::1"};
constexpr Uplink tunnel{"tun0",        "tunnel",          "198.18.67.2",
                        "198.18.67.1", "2001:db8:167::2", "2001:db8:167::1"};

void expect_transfer(Scene& scene, Result<Transfer>& transfer, const std::string& what) {
  if (!transfer)
    return;
  const auto response = transfer->finish();
  scene.check(response && response->complete() &&
                  same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
              what, response ? response->text() : response.error().message);
}

void change_uplinks(Scene& scene, Family family) {
  const std::string name{name_of(family)};
  auto transfer = Transfer::start(
      scene.host("client"), {Deployment::public_url(family, "/slow/5mb.bin"), transfer_deadline});
  scene.check(transfer && Scene::wait_until_under_way(*transfer),
              name + ": a download is under way", "nothing comes");
  plug(scene, spare.near, spare.far);
  scene.check(becomes([&] { return is_attached(scene, spare.near); }),
              name + ": the interface that appeared is attached", "it is not");
  scene.check(client_status_code(scene) == 0, name + ": and nothing is degraded any more",
              "exit code 4");
  take_uplink(scene, spare);
  expect_service(scene, family, name + ", by another interface and address");
  expect_transfer(
      scene, transfer,
      name + ": the download that began on the other interface completes on the new uplink");
  unplug(scene, spare.near);
  take_eth0(scene);
  scene.check(becomes([&] { return client_status_code(scene) == degraded; }),
              name + ": the status is degraded without it",
              fmt::format("exit code {}", client_status_code(scene)));
  const Visit back = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(back, family, download_bytes, name + ", on the first interface again");
}

// A rule leads some sockets of the host to another uplink, and all others stay on eth0: as a VPN
// for one user, or a program that marks its packets, has it.
struct Rule {
  std::string_view what, selector;
  Manner manner;
};

constexpr Rule rules[] = {
    {"routes by mark", "fwmark 0x77", {.mark = 0x77}},
    {"routes by user", "uidrange 65534-65534", {.user = 65534}},
};
constexpr int table = 77;
constexpr milliseconds without_a_repeated_syn{900};

void expect_service_by_rule(Scene& scene, Family family, const Rule& rule) {
  for (const std::string_view verdict : {"reply-reissued-syn", "pass-syn-ticketed"}) {
    const std::string what = fmt::format("{}, {}: {}", name_of(family), rule.what, verdict);
    const auto before = scene.trap().read();
    const auto begin = std::chrono::steady_clock::now();
    const auto reply = dial(scene.host("client"), addresses_of("trap").address(family),
                            service_port, "/small.txt", rule.manner);
    const auto took = std::chrono::steady_clock::now() - begin;
    const auto after = scene.trap().read();
    const Reading moved = before && after ? difference(*before, *after) : Reading{};
    scene.check(reply && reply->text.starts_with("HTTP/1.1 200") && took < without_a_repeated_syn &&
                    count_of(moved.client, verdict) == 1,
                what,
                fmt::format("{} after {} ms; {}", reply ? reply->text : reply.error().message,
                            std::chrono::duration_cast<milliseconds>(took).count(),
                            text_of(moved.client)));
  }
}

// The other uplink's addresses and routes are known to table 77 alone.
bool lay_routes(Scene& scene) {
  return plug(scene, spare.near, spare.far) &&
         scene.done(scene.host("router").ip(fmt::format(
                        "address replace {1}/24 dev {0}\naddress replace {2}/64 dev {0} nodad\n"
                        "link set {0} up\n",
                        spare.far, spare.ipv4_gateway, spare.ipv6_gateway)),
                    "the router has its end") &&
         scene.done(scene.host("client").ip(
                        fmt::format("link set {0} up\naddress replace {1}/24 dev {0}\n"
                                    "address replace {2}/64 dev {0} nodad\n"
                                    "route add default via {3} dev {0} src {1} table {5}\n"
                                    "route add ::/0 via {4} dev {0} src {2} table {5}\n",
                                    spare.near, spare.ipv4, spare.ipv6, spare.ipv4_gateway,
                                    spare.ipv6_gateway, table)),
                    "a table of routes leads to the other interface") &&
         scene.check(becomes([&] { return is_attached(scene, spare.near); }), "which is attached",
                     "it is not");
}

bool add_rule(Scene& scene, const Rule& rule) {
  bool added = true;
  for (const char* family : {"-4", "-6"}) {
    std::vector<std::string> words = {"ip", family, "rule", "add"};
    const auto selector = rule.selector.find(' ');
    words.insert(words.end(), {std::string{rule.selector.substr(0, selector)},
                               std::string{rule.selector.substr(selector + 1)}, "lookup",
                               std::to_string(table)});
    const auto done = run_checked(scene.host("client").command(words), milliseconds{5000});
    added &= scene.check(static_cast<bool>(done), fmt::format("{} {}", rule.what, family),
                         done ? "" : done.error().message);
  }
  return added;
}

void routes_by_rule(Scene& scene) {
  if (!lay_routes(scene))
    return;
  let_routes_be_seen();
  for (const Rule& rule : rules) {
    if (!add_rule(scene, rule))
      return;
    for (const Family family : families)
      expect_service_by_rule(scene, family, rule);
    const auto status = scene.trap().client().status();
    scene.check(status &&
                    std::ranges::count(status->redirects, spare.ipv4, &Redirect::local) +
                            std::ranges::count(status->redirects, spare.ipv6, &Redirect::local) ==
                        2,
                fmt::format("{}: by the other interface's addresses", rule.what), "by others");
    scene.forget_redirects();
  }
  unplug(scene, spare.near);
}

void interfaces(Scene& scene) {
  reconfigure_client(scene, "", R"("eth0", "spare0")");
  scene.check(client_status_code(scene) == degraded,
              "an interface that is named and not there makes the status degraded",
              fmt::format("exit code {}", client_status_code(scene)));
  for (const Family family : families)
    change_uplinks(scene, family);
  routes_by_rule(scene);
  scene.done(scene.host("client").ip("link set eth0 down\n"), "eth0 goes down");
  scene.done(scene.host("client").ip("link set eth0 up\n"), "and comes back");
  scene.done(scene.host("client").ip(fmt::format("address replace {}/64 dev eth0 nodad\n",
                                                 addresses_of("client").ipv6)),
             "with its IPv6 address");
  take_eth0(scene);
  for (const Family family : families) {
    const Visit back = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(back, family, download_bytes,
                       fmt::format("{}, after eth0 was down", name_of(family)));
    scene.check(count_of(back.moved.client, "pass-from-service") > 0,
                fmt::format("{}: by the service itself", name_of(family)),
                text_of(back.moved.client));
  }
  reconfigure_client(scene, "except = [\"skip*\"]\n", R"("*")");
  plug(scene, spare.near, spare.far);
  scene.done(
      scene.host("client").ip(
          "link add skip0 type veth peer name skip1\nlink set skip0 up\nlink set spare0 up\n"),
      "more interfaces come");
  scene.check(becomes([&] {
                return attached_interfaces(scene) == std::vector<std::string>{"eth0", "spare0"};
              }),
              "every interface that is up is attached, but loopback and exceptions",
              fmt::format("{}", fmt::join(attached_interfaces(scene), ", ")));
  scene.done(scene.host("client").ip("link set spare0 down\n"), "one goes down");
  scene.check(becomes([&] { return !is_attached(scene, spare.near); }), "and is left alone",
              "it is attached");
}

// By satellite: the application repeats its SYN before the TRAP server's first answer is there, so
// every answer comes twice, and the second redirect before the service's own answer.
constexpr Uplink satellite{"sat0",        "satellite",       "198.18.68.2",
                           "198.18.68.1", "2001:db8:168::2", "2001:db8:168::1"};
constexpr milliseconds one_way{550};
constexpr int connects_at_once = 24;

void slow_path(Scene& scene) {
  auto dug = Tunnel::dig({&scene.host("client"), std::string{satellite.near}},
                         {&scene.host("router"), std::string{satellite.far}}, one_way);
  if (!scene.check(static_cast<bool>(dug), "a path of 1.1 s leads to the router",
                   dug ? "" : dug.error().message))
    return;
  reconfigure_client(scene, "", R"("eth0", "sat*")");
  take_uplink(scene, satellite);
  scene.check(becomes([&] { return is_attached(scene, satellite.near); }),
              "the path's interface is attached", "it is not");
  scene.forget_redirects();
  std::vector<Transfer> transfers;
  for (int number = 0; number < connects_at_once; number++)
    for (const Family family : families)
      if (auto transfer =
              Transfer::start(scene.host("client"),
                              {Deployment::public_url(family, "/small.txt"), transfer_deadline}))
        transfers.push_back(std::move(*transfer));
  std::string failures;
  for (Transfer& transfer : transfers) {
    const auto response = transfer.finish();
    if (!response || !response->complete())
      failures += (response ? response->text() : response.error().message) + "; ";
  }
  scene.check(transfers.size() == connects_at_once * std::size(families) && failures.empty(),
              fmt::format("{} connections at once, each the first, get through", transfers.size()),
              failures);
}

void tunnel_interface(Scene& scene) {
  auto dug = Tunnel::dig({&scene.host("client"), std::string{tunnel.near}},
                         {&scene.host("router"), std::string{tunnel.far}});
  if (!scene.check(static_cast<bool>(dug), "a tunnel leads to the router",
                   dug ? "" : dug.error().message))
    return;
  reconfigure_client(scene, "", R"("eth0", "tun*")");
  take_uplink(scene, tunnel);
  scene.check(becomes([&] { return is_attached(scene, tunnel.near); }),
              "the tunnel's interface is attached", "it is not");
  for (const Family family : families)
    expect_service(scene, family, fmt::format("{}, without a link layer", name_of(family)));
  slow_path(scene);
}

const Registration register_interfaces{{
    .name = "interfaces",
    .goal = "interfaces appear, go and come back, routes and addresses change, rules choose among "
            "routes, and connections live on",
    .play = interfaces,
}};

const Registration register_tunnel{{
    .name = "tunnel",
    .goal = "the client's uplink is a tunnel without a link layer, and a path of 1.1 s",
    .play = tunnel_interface,
}};

} // namespace
} // namespace trap::lab
