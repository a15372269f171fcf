// SPDX-License-Identifier: Apache-2.0
// Hosts without a client module behind the client's host: with address translation, plainly
// forwarded, and on a bridge.
#include <algorithm>
#include <future>
#include <thread>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/network/lan.h"
#include "lab/programs/dial.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds nft_deadline{5000};

const LanAddresses public_lan{"198.18.77.", "2001:db8:177::"};
const LanAddresses container_lan{"172.17.0.", "fd17::"};
const LanAddresses clients_lan{
    "192.0.2.1", "2001:db8:2::1"}; // 192.0.2.12 and .13: neighbours of the client's host

// Whether filters and connection tracking see what crosses a bridge, as container engines want it.
// Kernels without br_netfilter never do.
void filter_bridged(Scene& scene, bool wanted) {
  for (const std::string_view entry :
       {"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"})
    [[maybe_unused]] const auto set = scene.host("client").set(entry, wanted ? "1" : "0");
}

void expect_none(Scene& scene, const std::string& counter, std::string_view what) {
  const auto listed =
      run_checked(scene.host("client").command({"nft", "list", "counter", "inet", "lab", counter}),
                  nft_deadline);
  scene.check(listed && listed->find("packets 0 ") != std::string::npos, what,
              listed ? *listed : listed.error().message);
}

void expect_first(Scene& scene, const Lan& lan, int number, Family family,
                  const std::string& what) {
  const std::string who =
      fmt::format("{}, {}, lan-{}, first connection", what, name_of(family), number);
  const Visit visit = scene.visit(lan.host(number), Deployment::public_url(family, "/5mb.bin"));
  scene.expect_whole(visit, family, download_bytes, who);
  scene.expect_handed_over(visit, who);
  scene.check(same_content(visit.response.body, scene.trap().service().documents() / "5mb.bin"),
              who + ": the right bytes", "the body differs from the document");
}

void expect_second(Scene& scene, const Lan& lan, int number, Family family,
                   const std::string& what) {
  const std::string who =
      fmt::format("{}, {}, lan-{}, second connection", what, name_of(family), number);
  const Visit visit = scene.visit(lan.host(number), Deployment::public_url(family, "/5mb.bin"));
  scene.expect_whole(visit, family, download_bytes, who);
  scene.expect_straight(visit, who);
}

// Each host behind asks for itself: a redirect belongs to the address inside.
void expect_own_redirects(Scene& scene, const Lan& lan, Family family, const std::string& what) {
  const auto status = scene.trap().client().status();
  const auto has = [&](const std::string& local) {
    return status && std::ranges::count(status->redirects, local, &Redirect::local) == 1;
  };
  scene.check(has(lan.address(family, 1)) && has(lan.address(family, 2)),
              fmt::format("{}, {}: each host has a redirect of its own", what, name_of(family)),
              status ? fmt::format("{} redirects", status->redirects.size())
                     : status.error().message);
}

void expect_lan_served(Scene& scene, const Lan& lan, const std::string& what) {
  for (const Family family : families) {
    for (int number = 1; number <= 2; number++)
      expect_first(scene, lan, number, family, what);
    for (int number = 1; number <= 2; number++)
      expect_second(scene, lan, number, family, what);
    expect_own_redirects(scene, lan, family, what);
  }
}

// The client's host itself, beside those behind it.
void expect_own_connections(Scene& scene, const std::string& what) {
  for (const Family family : families) {
    const std::string who = fmt::format("{}, {}, the router itself", what, name_of(family));
    const Visit visit = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(visit, family, download_bytes, who);
    scene.expect_handed_over(visit, who);
  }
}

// Connection tracking knows the router's own connections by the public address, and so gives a host
// behind a port that one of them had.
void expect_port_given_again(Scene& scene, const Lan& lan, const std::string& what) {
  const Manner manner{.source_port = 45000};
  for (const Family family : families) {
    const std::string_view address = addresses_of("trap").address(family);
    for (const Host* host : {&scene.host("client"), &lan.host(1)}) {
      const auto reply = dial(*host, address, service_port, "/small.txt", manner);
      scene.check(reply && reply->peer == endpoint(address, service_port),
                  fmt::format("{}, {}: {} from port {}", what, name_of(family), host->name(),
                              manner.source_port),
                  reply ? reply->peer : reply.error().message);
    }
  }
}

// Control: without `lan` hosts behind the router are reset.
void expect_reset_without_lan(Scene& scene, const Lan& lan, const std::string& what) {
  for (const Family family : families) {
    const Visit visit =
        scene.visit(lan.host(1), Deployment::public_url(family, "/small.txt"), milliseconds{5000});
    scene.check(visit.response.exit_code == curl_refused || visit.response.exit_code == curl_reset,
                fmt::format("{}, {}: without \"lan\" the TRAP server resets hosts behind", what,
                            name_of(family)),
                visit.response.text());
  }
}

std::optional<Lan> build(Scene& scene, const LanAddresses& addresses, LanKind uplink) {
  auto lan = Lan::build(scene.trap().topology(), addresses, uplink);
  if (!scene.check(static_cast<bool>(lan), "two hosts are behind the client's host",
                   lan ? "" : lan.error().message))
    return std::nullopt;
  return std::move(*lan);
}

void translation(Scene& scene) {
  const auto lan = build(scene, private_lan, LanKind::routed);
  if (!lan || !scene.done(filter(scene.host("client")), "the client's host filters") ||
      !scene.done(masquerade(scene.host("client")), "and translates"))
    return;
  filter_bridged(scene, true);
  expect_reset_without_lan(scene, *lan, "translated");
  reconfigure_client(scene, "lan = [\"br0\"]\n");
  expect_lan_served(scene, *lan, "translated");
  expect_own_connections(scene, "translated");
  expect_port_given_again(scene, *lan, "translated");
  expect_none(scene, "invalid", "connection tracking found nothing invalid");
  expect_none(scene, "stray", "and forwarding dropped nothing");
}

void forwarding(Scene& scene) {
  const auto lan = build(scene, public_lan, LanKind::routed);
  const HostAddresses& client = addresses_of("client");
  if (!lan || !scene.done(filter(scene.host("client")), "the client's host filters") ||
      !scene.done(scene.host("router").ip(
                      fmt::format("route add {}0/24 via {}\nroute add {}/64 via {}\n",
                                  public_lan.ipv4, client.ipv4, public_lan.ipv6, client.ipv6)),
                  "the router knows the LAN"))
    return;
  filter_bridged(scene, false);
  reconfigure_client(scene, "lan = [\"br0\"]\n");
  expect_lan_served(scene, *lan, "forwarded");
  expect_own_connections(scene, "forwarded");
  expect_none(scene, "invalid", "connection tracking found nothing invalid");
  expect_none(scene, "stray", "and forwarding dropped nothing");
}

void containers(Scene& scene) {
  const auto lan = build(scene, container_lan, LanKind::routed);
  if (!lan || !scene.done(enforce_container_rules(scene.host("client"), container_lan),
                          "the client's host has a container engine's rules"))
    return;
  filter_bridged(scene, true);
  expect_reset_without_lan(scene, *lan, "containers");
  reconfigure_client(scene, "lan = [\"br0\"]\n");
  expect_lan_served(scene, *lan, "containers");
  expect_own_connections(scene, "containers");
  expect_port_given_again(scene, *lan, "containers");
}

// Two connections from one local port at once: a long one, and another meanwhile.
void expect_both(Scene& scene, const Host& one, const Host& other, Family family, int port,
                 const std::string& what) {
  constexpr std::size_t document_bytes = download_bytes;
  const Manner manner{.source_port = static_cast<std::uint16_t>(port)};
  const std::string_view address = addresses_of("trap").address(family);
  auto first = std::async(std::launch::async, [&] {
    return dial(one, address, service_port, "/steady/5mb.bin", manner);
  });
  std::this_thread::sleep_for(milliseconds{500});
  const auto second = dial(other, address, service_port, "/small.txt", manner);
  const auto whole = first.get();
  scene.check(second && second->text.starts_with("HTTP/1.1 200"),
              fmt::format("{}, {}: {} is answered", what, name_of(family), other.name()),
              second ? second->text.substr(0, 80) : second.error().message);
  scene.check(whole && whole->text.size() > document_bytes,
              fmt::format("{}, {}: {} has all of its document", what, name_of(family), one.name()),
              whole ? fmt::format("{} bytes", whole->text.size()) : whole.error().message);
}

// The module does not serve the containers: they are as they would be without it, beside a host
// that is redirected.
void containers_aside(Scene& scene) {
  const auto lan = build(scene, private_lan, LanKind::routed);
  if (!lan || !scene.done(filter(scene.host("client")), "the client's host filters") ||
      !scene.done(masquerade(scene.host("client")), "and translates"))
    return;
  int port = 45000;
  for (const std::string interfaces : {R"("eth0")", R"("eth0", "br0")", R"("*")"}) {
    reconfigure_client(scene, "", interfaces);
    for (const Family family : families) {
      scene.forget_redirects();
      const Host &host = scene.host("client"), &container = lan->host(1);
      const auto before = scene.trap().client().counters();
      expect_both(scene, host, container, family, port++, "modules at " + interfaces);
      expect_both(scene, container, host, family, port++, "modules at " + interfaces);
      expect_both(scene, container, lan->host(2), family, port++, "modules at " + interfaces);
      const auto after = scene.trap().client().counters();
      const Counters moved = before && after ? difference(*before, *after) : Counters{};
      scene.check(count_of(moved, "reply-reissued-syn") == 1 &&
                      count_of(moved, "pass-syn-ticketed") == 1,
                  fmt::format("modules at {}, {}: the host alone is redirected", interfaces,
                              name_of(family)),
                  text_of(moved));
    }
  }
  expect_none(scene, "invalid", "connection tracking found nothing invalid");
}

void bridge(Scene& scene) {
  const auto lan = build(scene, clients_lan, LanKind::bridged);
  if (!lan)
    return;
  reconfigure_client(scene, "lan = [\"port-*\"]\n", R"("br0")");
  expect_lan_served(scene, *lan, "bridged");
  expect_own_connections(scene, "bridged");
}

const Registration register_translation{{
    .name = "translation",
    .goal = "hosts behind a router that translates and filters reach the service on the first try",
    .play = translation,
}};

const Registration register_forwarding{{
    .name = "forwarding",
    .goal = "the same where the router only forwards",
    .play = forwarding,
}};

const Registration register_containers_aside{{
    .name = "containers-aside",
    .goal = "containers that the module does not serve are as without it, beside a host that is "
            "redirected, also from its local ports",
    .plan = relayed_plan(),
    .play = containers_aside,
}};

const Registration register_bridge{{
    .name = "bridge",
    .goal = "the same where the client's host is a bridge",
    .play = bridge,
}};

const Registration register_containers{{
    .name = "containers",
    .goal = "containers behind the rules of a container engine",
    .play = containers,
}};

} // namespace
} // namespace trap::lab
