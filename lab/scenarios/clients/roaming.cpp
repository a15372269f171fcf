// SPDX-License-Identifier: Apache-2.0
// The client's host comes into another network that gives it the same local address: redirects from
// the former one are forgotten.
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

std::size_t redirects_held(Scene& scene) {
  const auto status = scene.trap().client().status();
  return status ? status->redirects.size() : 99;
}

bool are_forgotten(Scene& scene) {
  for (int i = 0; i < 50 && redirects_held(scene) != 0; i++)
    std::this_thread::sleep_for(milliseconds{100});
  return redirects_held(scene) == 0;
}

void learn(Scene& scene, const std::string& where) {
  for (const Family family : families) {
    const Visit visit = scene.visit_service(family, "/small.txt");
    scene.check(visit.response.complete(), fmt::format("{}, {}", name_of(family), where),
                visit.response.text());
  }
  scene.check(redirects_held(scene) == 2, where + ": two redirects are held",
              fmt::format("{}", redirects_held(scene)));
}

void expect_gateway_noticed(Scene& scene, std::string_view what, const std::string& mac) {
  const HostAddresses& client = addresses_of("client");
  scene.done(scene.host("client").ip(fmt::format(
                 "neigh replace {} lladdr {} dev eth0 nud reachable\n", client.ipv4_gateway, mac)),
             fmt::format("the gateway has {}", what));
}

void roaming(Scene& scene) {
  const HostAddresses& client = addresses_of("client");
  learn(scene, "at home");
  expect_gateway_noticed(scene, "its link-layer address", text_of(client.router_mac()));
  std::this_thread::sleep_for(milliseconds{2500});
  scene.check(redirects_held(scene) == 2, "nothing is forgotten while nothing changes",
              fmt::format("{}", redirects_held(scene)));
  expect_gateway_noticed(scene, "another link-layer address", "02:00:00:00:01:77");
  scene.check(are_forgotten(scene), "the redirects are forgotten", "they are held");
  expect_gateway_noticed(scene, "its own again", text_of(client.router_mac()));
  std::this_thread::sleep_for(milliseconds{1500});
  learn(scene, "at home again");
  scene.done(
      scene.host("client").ip(fmt::format("route replace default via {} dev eth0 src {}\n"
                                          "route del default via {} dev eth0\n",
                                          client.ipv4_gateway, client.ipv4, client.ipv4_gateway)),
      "the default route goes");
  scene.check(are_forgotten(scene), "the redirects are forgotten with the gateway",
              "they are held");
}

const Registration register_roaming{{
    .name = "roaming",
    .goal = "redirects are forgotten where the network is another one",
    .play = roaming,
}};

} // namespace
} // namespace trap::lab
