// SPDX-License-Identifier: Apache-2.0
// Kinds of interfaces that not every kernel has: a VLAN, a WireGuard tunnel and PPP, as the
// client's uplink.
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/clients/uplinks.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds wg_deadline{10000};
constexpr int wireguard_port = 51820;

constexpr std::string_view trunk = "trunk0", trunk_far = "trunk";
constexpr Uplink vlan{"vlan7",       "vlan7",           "198.18.70.2",
                      "198.18.70.1", "2001:db8:170::2", "2001:db8:170::1"};
constexpr Uplink wireguard{
    "wg0", "wg0", "198.18.71.2", "198.18.71.1", "2001:db8:171::2", "2001:db8:171::1"};
constexpr Uplink ppp{"ppp0",        "pppfar",          "198.18.72.2",
                     "198.18.72.1", "2001:db8:172::2", "2001:db8:172::1"};

void expect_uplink(Scene& scene, const Uplink& uplink, const std::string& what) {
  take_uplink(scene, uplink);
  if (!scene.check(becomes([&] { return is_attached(scene, uplink.near); }),
                   fmt::format("{} is attached", uplink.near), "it is not"))
    return;
  for (const Family family : families)
    expect_service(scene, family, fmt::format("{}, {}", name_of(family), what));
}

// One end of a WireGuard tunnel: its private key, and the public one that goes with it.
struct Identity {
  std::string private_key, public_key;
};

Result<Identity> make_identity() {
  auto secret = run_checked({.arguments = {"wg", "genkey"}}, wg_deadline);
  if (!secret)
    return secret.error();
  auto shown = run_checked({.arguments = {"wg", "pubkey"}, .input = *secret}, wg_deadline);
  if (!shown)
    return shown.error();
  return Identity{std::move(*secret), shown->substr(0, shown->find('\n'))};
}

Result<void> join(const Host& host, const Uplink& uplink, const Identity& own,
                  const Identity& other, std::string_view endpoint_address) {
  if (auto made = host.ip(fmt::format("link add {} type wireguard\n", uplink.near)); !made)
    return made;
  Command set = host.command({"wg", "set", std::string{uplink.near}, "listen-port",
                              std::to_string(wireguard_port), "private-key", "/dev/stdin", "peer",
                              other.public_key, "allowed-ips", "0.0.0.0/0,::/0", "endpoint",
                              fmt::format("{}:{}", endpoint_address, wireguard_port)});
  set.input = own.private_key;
  if (auto done = run_checked(set, wg_deadline); !done)
    return done.error();
  return {};
}

void play_vlan(Scene& scene) {
  if (!plug(scene, trunk, trunk_far))
    return;
  for (const auto& [host, port] : {std::pair{"client", trunk}, std::pair{"router", trunk_far}})
    if (!scene.done(
            scene.host(host).ip(fmt::format(
                "link set {0} up\nlink add link {0} name {1} type vlan id 7\n", port, vlan.near)),
            fmt::format("a VLAN on the trunk of the {}", host)))
      return;
  reconfigure_client(scene, "", R"("eth0", "vlan7")");
  expect_uplink(scene, vlan, "over a VLAN");
  scene.forget_redirects();
  reconfigure_client(scene, "", R"("*")"); // every packet crosses two hooks each way
  scene.check(becomes([&] { return is_attached(scene, trunk) && is_attached(scene, vlan.near); }),
              "the trunk is attached as well", "no");
  for (const Family family : families)
    expect_service(scene, family, fmt::format("{}, by the VLAN and its trunk", name_of(family)));
}

void play_wireguard(Scene& scene) {
  const auto near = make_identity(), far = make_identity();
  if (!scene.check(near && far, "both ends of the tunnel have keys",
                   !near ? near.error().message
                   : far ? ""
                         : far.error().message))
    return;
  const HostAddresses& client = addresses_of("client");
  if (!scene.done(join(scene.host("client"), wireguard, *near, *far, client.ipv4_gateway),
                  "the client's end of the tunnel") ||
      !scene.done(join(scene.host("router"), wireguard, *far, *near, client.ipv4),
                  "the router's end"))
    return;
  reconfigure_client(scene, "", R"("eth0", "wg*")");
  expect_uplink(scene, wireguard, "through WireGuard");
}

void play_ppp(Scene& scene) {
  const std::string far_end =
      fmt::format("nsenter --net=/run/netns/{} pppd notty nodetach noauth local ifname {} {}:{}",
                  scene.host("router").namespace_name(), ppp.far, ppp.ipv4_gateway, ppp.ipv4);
  Command dial = scene.host("client").command(
      {"pppd", "nodetach", "noauth", "nodefaultroute", "local", "ifname", std::string{ppp.near},
       fmt::format("{}:{}", ppp.ipv4, ppp.ipv4_gateway), "pty", far_end});
  dial.log = scene.host("client").directory() / "pppd.log";
  auto line = Process::start(dial);
  if (!scene.check(static_cast<bool>(line), "pppd dials the router",
                   line ? "" : line.error().message))
    return;
  reconfigure_client(scene, "", R"("eth0", "ppp*")");
  if (scene.check(becomes([&] { return is_attached(scene, ppp.near); }),
                  "the line is up, and attached",
                  fmt::format("{}", fmt::join(last_lines(dial.log, 3), "; "))))
    expect_uplink(scene, ppp, "over PPP");
}

void uplink_kinds(Scene& scene) {
  play_vlan(scene);
  play_wireguard(scene);
  play_ppp(scene);
}

const Registration register_uplink_kinds{{
    .name = "uplink-kinds",
    .goal = "the client's uplink is a VLAN, a WireGuard tunnel, a PPP line",
    .run_class = RunClass::emulated,
    .play = uplink_kinds,
}};

} // namespace
} // namespace trap::lab
