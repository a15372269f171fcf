// SPDX-License-Identifier: Apache-2.0
// The client's host is a neighbour of the TRAP server, and reaches the service by a router: most
// hosts do not forward, and redirected packets must not go to the TRAP server's own link-layer
// address. A connection that began so lives on where the host moves to an uplink that has none.
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
constexpr std::string_view link = "link0"; // of the router: its link with both hosts

constexpr Uplink spare{"spare0",           "spare",          "203.0.113.77", "203.0.113.1",
                       "2001:db8:113::77", "2001:db8:113::1"};
constexpr Uplink tunnel{"tun0",        "tunnel",          "198.18.67.2",
                        "198.18.67.1", "2001:db8:167::2", "2001:db8:167::1"};

// A bridge of the router's takes the place of its link to the TRAP server.
bool bridge_links(Scene& scene) {
  const HostAddresses& trap = addresses_of("trap");
  return plug(scene, spare.near, spare.far) &&
         scene.done(scene.host("router").ip(fmt::format(
                        "link add {0} address {1} type bridge\n"
                        "address flush dev trap\nlink set trap master {0}\n"
                        "link set {2} master {0}\nlink set {2} up\nlink set {0} up\n"
                        "address add {3}/{4} dev {0}\naddress add {5}/64 dev {0} nodad\n",
                        link, text_of(trap.router_mac()), spare.far, trap.ipv4_gateway,
                        trap.ipv4_prefix, trap.ipv6_gateway)),
                    "the router has both hosts on one link") &&
         scene.done(
             scene.host("client").ip(fmt::format(
                 "link set {0} up\naddress add {1}/24 dev {0}\n"
                 "address add {2}/64 dev {0} nodad\nroute replace default via {3} dev {0}\n"
                 "route replace ::/0 via {4} dev {0}\n",
                 spare.near, spare.ipv4, spare.ipv6, spare.ipv4_gateway, spare.ipv6_gateway)),
             "the client's host is the TRAP server's neighbour");
}

// Its addresses go along; the public address is not on a link of it any more.
bool move_to_tunnel(Scene& scene) {
  return scene.done(
             scene.host("router").ip(fmt::format(
                 "address add {1}/24 dev {0}\naddress add {2}/64 dev {0} nodad\nlink set {0} up\n"
                 "route add {3}/32 dev {0}\nroute add {4}/128 dev {0}\n",
                 tunnel.far, tunnel.ipv4_gateway, tunnel.ipv6_gateway, spare.ipv4, spare.ipv6)),
             "the router knows it there") &&
         scene.done(scene.host("client").ip(fmt::format(
                        "link set {0} up\naddress add {1}/32 dev {0}\n"
                        "address del {1}/24 dev {3}\n"
                        "address del {2}/64 dev {3}\naddress add {2}/128 dev {0} nodad\n"
                        "route replace default dev {0} src {1}\n"
                        "route replace ::/0 dev {0} src {2}\n",
                        tunnel.near, spare.ipv4, spare.ipv6, spare.near)),
                    "the client's host moves to a tunnel");
}

void expect_lives(Scene& scene, Result<Transfer>& transfer, Family family) {
  if (!transfer)
    return;
  const auto response = transfer->finish();
  scene.check(response && response->complete() &&
                  same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
              fmt::format("{}: the download completes there", name_of(family)),
              response ? response->text() : response.error().message);
}

void own_subnet(Scene& scene) {
  auto dug = Tunnel::dig({&scene.host("client"), std::string{tunnel.near}},
                         {&scene.host("router"), std::string{tunnel.far}});
  if (!scene.check(static_cast<bool>(dug), "there is a tunnel to the router, not in use",
                   dug ? "" : dug.error().message) ||
      !bridge_links(scene))
    return;
  reconfigure_client(scene, "", R"("eth0", "spare0", "tun0")");
  let_routes_be_seen();
  std::vector<Result<Transfer>> transfers;
  for (const Family family : families) {
    expect_service(scene, family, std::string{name_of(family)});
    transfers.push_back(
        Transfer::start(scene.host("client"),
                        {Deployment::public_url(family, "/slow/5mb.bin"), transfer_deadline}));
    scene.check(transfers.back() && Scene::wait_until_under_way(*transfers.back()),
                fmt::format("{}: a download is under way", name_of(family)), "nothing comes");
  }
  if (!move_to_tunnel(scene))
    return;
  for (std::size_t i = 0; i < transfers.size(); i++)
    expect_lives(scene, transfers[i], families[i]);
}

const Registration register_own_subnet{{
    .name = "own-subnet",
    .goal = "the client is the TRAP server's neighbour, and does not forward; its connections move "
            "to an uplink without a link layer",
    .play = own_subnet,
}};

} // namespace
} // namespace trap::lab
