// SPDX-License-Identifier: Apache-2.0
// A link on the way that takes smaller packets than those at its ends: the routers' errors must
// find the sockets that they are for.
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int narrow_mtu = 1300;
constexpr milliseconds transfer_deadline{30000};

// The router's routes say how large a packet to these hosts may be; the link itself takes more.
std::string narrow_routes() {
  return fmt::format("route replace 198.51.100.16/28 dev service src 198.51.100.17 mtu lock {0}\n"
                     "route replace 192.0.2.0/26 dev client src 192.0.2.1 mtu lock {0}\n"
                     "route replace 2001:db8:51::/64 dev service metric 256 mtu lock {0}\n"
                     "route replace 2001:db8:2::/64 dev client metric 256 mtu lock {0}\n",
                     narrow_mtu);
}

// Sizes that were found out hold for ten minutes, and are told to the other side when a connection
// begins.
void forget_sizes(Scene& scene) {
  for (const std::string_view host : {"client", "service"})
    for (const std::string_view family : {"-4", "-6"})
      if (auto done = scene.host(host).ip("route flush cache\n", std::string{family}); !done)
        scene.check(false, "forget path MTUs", done.error().message);
}

void send_up(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, up", name_of(family));
  const auto original = scene.trap().service().documents() / "5mb.bin";
  const std::string target = fmt::format("/upload/narrow-{}", name_of(family));
  const auto before = scene.trap().client().counters();
  const auto response = fetch(
      scene.host("client"), {Deployment::public_url(family, target), transfer_deadline, original});
  scene.check(response && response->complete() &&
                  same_content(original, scene.trap().service().uploads() /
                                             target.substr(target.rfind('/') + 1)),
              what + ": every byte arrives",
              response ? response->text() : response.error().message);
  const auto after = scene.trap().client().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(count_of(moved, "pass-icmp-translated") > 0,
              what + ": the router's errors reach the socket", text_of(moved));
}

void fetch_down(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, down", name_of(family));
  const Visit visit =
      scene.visit("client", Deployment::public_url(family, "/5mb.bin"), transfer_deadline);
  scene.expect_whole(visit, family, download_bytes, what);
  scene.check(count_of(visit.moved.guard, "pass-icmp-flow") > 0,
              what + ": the router's errors reach the service", text_of(visit.moved.guard));
}

void narrow_link(Scene& scene) {
  if (!scene.done(scene.host("router").ip(narrow_routes()),
                  fmt::format("links take {} bytes", narrow_mtu)))
    return;
  for (const Family family : families) {
    send_up(scene, family);
    forget_sizes(scene);
    fetch_down(scene, family);
  }
}

const Registration register_narrow_link{{
    .name = "narrow-link",
    .goal = "path MTU discovery through redirected connections, up and down",
    .play = narrow_link,
}};

} // namespace
} // namespace trap::lab
