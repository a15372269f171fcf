// SPDX-License-Identifier: Apache-2.0
// Interfaces of the client's host that come, go and come back, that have no link layer, or that
// only a pattern names; and routes and addresses that change meanwhile.
#include <algorithm>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/network/tunnel.h"
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

void interfaces(Scene& scene) {
  reconfigure_client(scene, "", R"("eth0", "spare0")");
  scene.check(client_status_code(scene) == degraded,
              "an interface that is named and not there makes the status degraded",
              fmt::format("exit code {}", client_status_code(scene)));
  for (const Family family : families)
    change_uplinks(scene, family);
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
}

const Registration register_interfaces{{
    .name = "interfaces",
    .goal =
        "interfaces appear, go and come back, routes and addresses change, and connections live on",
    .play = interfaces,
}};

const Registration register_tunnel{{
    .name = "tunnel",
    .goal = "the client's uplink is a tunnel without a link layer",
    .play = tunnel_interface,
}};

} // namespace
} // namespace trap::lab
