// SPDX-License-Identifier: Apache-2.0
// Interfaces of the client's host that come, go and come back, that have no link layer, or that only a pattern names; and routes and
// addresses that change meanwhile.
#include <algorithm>

#include <fmt/format.h>

#include "lab/files.h"
#include "lab/scenarios/client_watch.h"
#include "lab/scenarios/plays.h"
#include "lab/tunnel.h"

namespace trap::lab::plays {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds transfer_deadline{40000};
constexpr int degraded = 4;

// A second way to the router. The client's host has other addresses there.
struct Way {
  std::string_view near, far; // interfaces: of the client's host, of the router
  std::string_view ipv4, ipv4_gateway, ipv6, ipv6_gateway;
};

constexpr Way spare{"spare0", "spare", "198.18.66.2", "198.18.66.1", "2001:db8:166::2", "2001:db8:166::1"};
constexpr Way tunnel{"tun0", "tunnel", "198.18.67.2", "198.18.67.1", "2001:db8:167::2", "2001:db8:167::1"};

bool is_attached(Scene& scene, std::string_view interface) {
  return std::ranges::count(attached_interfaces(scene), interface) != 0;
}

// Addresses for a way whose interfaces are there, and all traffic of the client's host to it.
void take(Scene& scene, const Way& way) {
  scene.done(scene.host("router").ip(fmt::format("address replace {}/24 dev {}\naddress replace {}/64 dev {} nodad\nlink set {} up\n",
                                                 way.ipv4_gateway, way.far, way.ipv6_gateway, way.far, way.far)),
             fmt::format("the router has its end of {}", way.near));
  scene.done(scene.host("client").ip(fmt::format("link set {0} up\naddress replace {1}/24 dev {0}\naddress replace {2}/64 dev {0} nodad\n"
                                                 "route replace default via {3} dev {0} onlink\nroute replace ::/0 via {4} dev {0}\n",
                                                 way.near, way.ipv4, way.ipv6, way.ipv4_gateway, way.ipv6_gateway)),
             fmt::format("the client's traffic takes {}", way.near));
}

void take_first_way(Scene& scene) {
  const Place& client = place_of("client");
  scene.done(scene.host("client").ip(fmt::format("route replace default via {}\nroute replace ::/0 via {} dev eth0\n", client.ipv4_gateway,
                                                 client.ipv6_gateway)),
             "the client's traffic takes eth0 again");
}

void plug(Scene& scene, const Way& way) {
  scene.done(scene.host("client").ip(
                 fmt::format("link add {} type veth peer name {} netns {}\n", way.near, way.far, scene.host("router").namespace_name())),
             fmt::format("{} is plugged in", way.near));
}

void unplug(Scene& scene, const Way& way) {
  scene.done(scene.host("client").ip(fmt::format("link delete {}\n", way.near)), fmt::format("{} is unplugged", way.near));
}

// From another address the client is another one to TRAP: its first connection is led there unseen, the second goes straight.
void expect_service(Scene& scene, Family family, const std::string& what) {
  const Visit first = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(first, family, download_bytes, what + ", first connection");
  scene.expect_handed_over(first, what + ", first connection");
  const Visit second = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(second, family, download_bytes, what + ", second connection");
  scene.expect_straight(second, what + ", second connection");
}

void expect_transfer(Scene& scene, Result<Transfer>& transfer, const std::string& what) {
  if (!transfer)
    return;
  const auto response = transfer->finish();
  scene.check(response && response->complete() && same_content(response->body, scene.trap().service().documents() / "5mb.bin"), what,
              response ? response->text() : response.error().message);
}

void change_ways(Scene& scene, Family family) {
  const std::string name{name_of(family)};
  auto transfer = Transfer::start(scene.host("client"), {Deployment::public_url(family, "/slow/5mb.bin"), transfer_deadline});
  scene.check(transfer && Scene::wait_until_under_way(*transfer), name + ": a download is under way", "nothing comes");
  plug(scene, spare);
  scene.check(becomes([&] { return is_attached(scene, spare.near); }), name + ": the interface that appeared is attached", "it is not");
  scene.check(client_status_code(scene) == 0, name + ": and nothing is degraded any more", "exit code 4");
  take(scene, spare);
  expect_service(scene, family, name + ", by another interface and address");
  expect_transfer(scene, transfer, name + ": the download that began on the other interface completes on the new way");
  unplug(scene, spare);
  take_first_way(scene);
  scene.check(becomes([&] { return client_status_code(scene) == degraded; }), name + ": the status is degraded without it",
              fmt::format("exit code {}", client_status_code(scene)));
  const Visit back = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(back, family, download_bytes, name + ", on the first interface again");
}

} // namespace

void interfaces(Scene& scene) {
  reconfigure_client(scene, "", R"("eth0", "spare0")");
  scene.check(client_status_code(scene) == degraded, "an interface that is named and not there makes the status degraded",
              fmt::format("exit code {}", client_status_code(scene)));
  for (const Family family : families)
    change_ways(scene, family);
  scene.done(scene.host("client").ip("link set eth0 down\n"), "eth0 goes down");
  scene.done(scene.host("client").ip("link set eth0 up\n"), "and comes back");
  scene.done(scene.host("client").ip(fmt::format("address replace {}/64 dev eth0 nodad\n", place_of("client").ipv6)),
             "with its IPv6 address");
  take_first_way(scene);
  for (const Family family : families) {
    const Visit back = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(back, family, download_bytes, fmt::format("{}, after eth0 was down", name_of(family)));
    scene.check(count_of(back.moved.client, "pass-from-service") > 0, fmt::format("{}: by the service itself", name_of(family)),
                text_of(back.moved.client));
  }
  reconfigure_client(scene, "except = [\"skip*\"]\n", R"("*")");
  plug(scene, spare);
  scene.done(scene.host("client").ip("link add skip0 type veth peer name skip1\nlink set skip0 up\nlink set spare0 up\n"),
             "more interfaces come");
  scene.check(becomes([&] {
                return attached_interfaces(scene) == std::vector<std::string>{"eth0", "spare0"};
              }),
              "every interface that is up is attached, but loopback and what is excepted",
              fmt::format("{}", fmt::join(attached_interfaces(scene), ", ")));
  scene.done(scene.host("client").ip("link set spare0 down\n"), "one goes down");
  scene.check(becomes([&] { return !is_attached(scene, spare.near); }), "and is left alone", "it is attached");
}

void tunnel_interface(Scene& scene) {
  auto dug = Tunnel::dig({&scene.host("client"), std::string{tunnel.near}}, {&scene.host("router"), std::string{tunnel.far}});
  if (!scene.check(static_cast<bool>(dug), "a tunnel leads to the router", dug ? "" : dug.error().message))
    return;
  reconfigure_client(scene, "", R"("eth0", "tun*")");
  take(scene, tunnel);
  scene.check(becomes([&] { return is_attached(scene, tunnel.near); }), "the tunnel's interface is attached", "it is not");
  for (const Family family : families)
    expect_service(scene, family, fmt::format("{}, without a link layer", name_of(family)));
}

} // namespace trap::lab::plays
