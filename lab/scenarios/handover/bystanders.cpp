// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/ping.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

void expect_answer(Scene& scene, Family family, std::string_view target, std::string_view when) {
  scene.done(
      ping(scene.host("client"), family, addresses_of(target).address(family), milliseconds{5000}),
      fmt::format("{}: {} answers ping {}", name_of(family), target, when));
}

// ARP, neighbour discovery and ICMP are none of TRAP's business.
void neighbours(Scene& scene) {
  for (const std::string_view target : {"trap", "service"})
    for (const Family family : families) {
      expect_answer(scene, family, target, "at first");
      scene.done(scene.host("router").ip(fmt::format("neighbour flush dev {}\n", target)),
                 "the router forgets the host's MAC address");
      expect_answer(scene, family, target, "again, after resolution");
    }
}

void other_ports(Scene& scene) {
  const auto web = Nginx::start(scene.host("trap"), {open_port});
  if (!scene.check(static_cast<bool>(web),
                   "the TRAP host has a web server of its own on another port",
                   web ? "" : web.error().message))
    return;
  for (const std::string_view target : {"trap", "service"}) {
    for (const Family family : families) {
      for (const std::string_view from : {"client", "stranger"}) {
        const std::string_view address = addresses_of(target).address(family);
        const std::string what = fmt::format("{}, from {} to {}", name_of(family), from, target);
        const Visit open =
            scene.visit(from, fmt::format("http://{}/5mb.bin", endpoint(address, open_port)));
        scene.check(open.response.complete() && open.response.bytes == download_bytes,
                    what + ": an open port is untouched", open.response.text());
        const Visit closed =
            scene.visit(from, fmt::format("http://{}/", endpoint(address, 9)), milliseconds{5000});
        scene.check(closed.response.exit_code == curl_refused,
                    what + ": a closed port refuses at once", closed.response.text());
      }
    }
  }
}

const Registration register_neighbours{{
    .name = "neighbours",
    .goal = "ARP, neighbour discovery and ping work at the TRAP host and the service's host",
    .play = neighbours,
}};

const Registration register_other_ports{{
    .name = "other-ports",
    .goal = "other TCP ports of both hosts are untouched",
    .play = other_ports,
}};

} // namespace
} // namespace trap::lab
