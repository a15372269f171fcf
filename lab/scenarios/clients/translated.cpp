// SPDX-License-Identifier: Apache-2.0
// A client's host that has IPv6 alone, behind a translator (NAT64), as a phone with 464XLAT has it:
// the public address and the backend are IPv4 ones. With the translator's prefix known, a redirect
// is followed by the same translator; without, the connect is served.
#include <fmt/format.h>

#include "lab/network/nat64.h"
#include "lab/programs/dial.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr std::string_view well_known = "64:ff9b::", of_network = "2001:db8:64::";

std::string behind(std::string_view prefix) {
  return fmt::format("{}{}", prefix, addresses_of("trap").ipv4);
}

void expect(Scene& scene, std::string_view prefix, std::string_view verdict,
            std::string_view what) {
  const auto before = scene.trap().read();
  const auto reply =
      dial(scene.host("client"), behind(prefix), service_port, "/small.txt", Manner{});
  const auto after = scene.trap().read();
  const Reading moved = before && after ? difference(*before, *after) : Reading{};
  scene.check(
      reply && reply->text.starts_with("HTTP/1.1 200") && count_of(moved.client, verdict) == 1,
      fmt::format("{}: {}", what, verdict),
      fmt::format("{}; {}", reply ? reply->text : reply.error().message, text_of(moved.client)));
}

void expect_redirected(Scene& scene, std::string_view prefix, const std::string& what) {
  expect(scene, prefix, "reply-reissued-syn", what + ", first connect");
  expect(scene, prefix, "pass-syn-ticketed", what + ", next connect");
  scene.forget_redirects();
}

void expect_served(Scene& scene, std::string_view prefix, const std::string& what) {
  expect(scene, prefix, "reply-syn-again", what + ", first connect");
  expect(scene, prefix, "pass-offer-declined", what + ", next connect");
  scene.forget_redirects();
}

void translated_client(Scene& scene) {
  const std::string client{addresses_of("client").ipv6};
  auto known =
      Nat64::start(scene.host("router"), {"nat64", std::string{well_known}, client, "198.18.64.2"});
  auto other = Nat64::start(scene.host("router"),
                            {"nat64-2", std::string{of_network}, client, "198.18.64.3"});
  if (!scene.check(known && other, "two translators are on the router",
                   known ? (other ? "" : other.error().message) : known.error().message) ||
      !scene.done(scene.host("client").ip("address flush dev eth0\n", "-4"),
                  "the client's host has no IPv4 address"))
    return;
  expect_redirected(scene, well_known, "the prefix that all translators may have");
  expect_served(scene, of_network, "a prefix that is not known");
  reconfigure_client(scene, fmt::format("nat64_prefix = \"{}/96\"\n", of_network));
  expect_redirected(scene, of_network, "a prefix that the configuration names");
  reconfigure_client(scene, "nat64_prefix = \"none\"\n");
  expect_served(scene, of_network, "a prefix that is no translator's by the configuration");
}

const Registration register_translated{{
    .name = "nat64",
    .goal = "a client with IPv6 alone, behind a translator, is redirected to an IPv4 backend if "
            "the prefix is known, and served if not",
    .plan = relayed_plan(),
    .play = translated_client,
}};

} // namespace
} // namespace trap::lab
