// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/clients/uplinks.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "lab/scenarios/clients/client_watch.h"

namespace trap::lab {

bool plug(Scene& scene, std::string_view near, std::string_view far) {
  return scene.done(
      scene.host("client").ip(fmt::format("link add {} type veth peer name {} netns {}\n", near,
                                          far, scene.host("router").namespace_name())),
      fmt::format("{} is plugged in", near));
}

void unplug(Scene& scene, std::string_view near) {
  scene.done(scene.host("client").ip(fmt::format("link delete {}\n", near)),
             fmt::format("{} is unplugged", near));
}

void take_uplink(Scene& scene, const Uplink& uplink) {
  scene.done(
      scene.host("router").ip(fmt::format(
          "address replace {}/24 dev {}\naddress replace {}/64 dev {} nodad\nlink set {} up\n",
          uplink.ipv4_gateway, uplink.far, uplink.ipv6_gateway, uplink.far, uplink.far)),
      fmt::format("the router has its end of {}", uplink.near));
  scene.done(
      scene.host("client").ip(fmt::format(
          "link set {0} up\naddress replace {1}/24 dev {0}\naddress replace {2}/64 dev {0} nodad\n"
          "route replace default via {3} dev {0} onlink\nroute replace ::/0 via {4} dev {0}\n",
          uplink.near, uplink.ipv4, uplink.ipv6, uplink.ipv4_gateway, uplink.ipv6_gateway)),
      fmt::format("the client's traffic takes {}", uplink.near));
  let_routes_be_seen();
}

void let_routes_be_seen() {
  std::this_thread::sleep_for(std::chrono::milliseconds{1100});
}

void take_eth0(Scene& scene) {
  const HostAddresses& client = addresses_of("client");
  scene.done(scene.host("client").ip(
                 fmt::format("route replace default via {}\nroute replace ::/0 via {} dev eth0\n",
                             client.ipv4_gateway, client.ipv6_gateway)),
             "the client's traffic takes eth0 again");
}

bool is_attached(Scene& scene, std::string_view interface) {
  return std::ranges::count(attached_interfaces(scene), interface) != 0;
}

void expect_service(Scene& scene, Family family, const std::string& what) {
  const Visit first = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(first, family, download_bytes, what + ", first connection");
  scene.expect_handed_over(first, what + ", first connection");
  const Visit second = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(second, family, download_bytes, what + ", second connection");
  scene.expect_straight(second, what + ", second connection");
}

} // namespace trap::lab
