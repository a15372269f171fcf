// SPDX-License-Identifier: Apache-2.0
#include "lab/network/lan.h"

#include <chrono>

#include <fmt/format.h>

namespace trap::lab {
namespace {

constexpr int router_number = 1;

constexpr std::chrono::milliseconds load_deadline{5000};

constexpr std::string_view filter_rules = R"(
table inet lab {
  counter invalid {}
  counter stray {}
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid counter name invalid drop
    ct state established,related accept
    iifname "br0" oifname "eth0" ct state new accept
    meta l4proto tcp counter name stray
  }
}
)";
constexpr std::string_view translation_rules = R"(
table inet lab {
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
  }
}
)";

// For iptables-restore; {0} is the network, {1} that of loopback.
constexpr std::string_view container_rules = R"(*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:DOCKER -
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {1} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {0} ! -o br0 -j MASQUERADE
-A DOCKER -i br0 -j RETURN
COMMIT
*filter
:INPUT ACCEPT
:FORWARD DROP
:OUTPUT ACCEPT
:DOCKER -
:DOCKER-ISOLATION-STAGE-1 -
:DOCKER-ISOLATION-STAGE-2 -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br0 -j DOCKER
-A FORWARD -i br0 ! -o br0 -j ACCEPT
-A FORWARD -i br0 -o br0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i br0 ! -o br0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o br0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
)";

Result<void> load(const Host& gateway, std::vector<std::string> loader, std::string rules) {
  Command command = gateway.command(std::move(loader));
  command.input = std::move(rules);
  auto done = run_checked(command, load_deadline);
  if (!done)
    return done.error();
  return {};
}

std::string bridge_lines(const LanAddresses& addresses, LanKind uplink) {
  const HostAddresses& client = addresses_of("client");
  if (uplink == LanKind::routed)
    return fmt::format(
        "link add br0 type bridge\n"
        "address add {}/24 dev br0\naddress add {}/64 dev br0 nodad\nlink set br0 up\n",
        addresses.of(Family::ipv4, router_number), addresses.of(Family::ipv6, router_number));
  return fmt::format(
      "link add br0 type bridge\n"
      "address flush dev eth0 scope global\nlink set eth0 master br0\n"
      "address add {0}/{1} dev br0\naddress add {2}/64 dev br0 nodad\nlink set br0 up\n"
      "route replace default via {3}\nroute replace ::/0 via {4}\n",
      client.ipv4, client.ipv4_prefix, client.ipv6, client.ipv4_gateway, client.ipv6_gateway);
}

std::string port_lines(int number, const Host& host) {
  return fmt::format(
      "link add port-{0} type veth peer name eth0 netns {1}\nlink set port-{0} master br0 up\n",
      number, host.namespace_name());
}

std::string host_lines(const LanAddresses& addresses, LanKind uplink, int number) {
  const HostAddresses& client = addresses_of("client");
  const bool routed = uplink == LanKind::routed;
  return fmt::format(
      "address add {}/{} dev eth0\naddress add {}/64 dev eth0 nodad\nlink set eth0 up\n"
      "route add default via {}\nroute add ::/0 via {}\n",
      addresses.of(Family::ipv4, number + 1), routed ? 24 : client.ipv4_prefix,
      addresses.of(Family::ipv6, number + 1),
      routed ? addresses.of(Family::ipv4, router_number) : std::string{client.ipv4_gateway},
      routed ? addresses.of(Family::ipv6, router_number) : std::string{client.ipv6_gateway});
}

Result<void> connect(const Host& gateway, const Host& host, const LanAddresses& addresses,
                     LanKind uplink, int number) {
  if (auto done = gateway.ip(port_lines(number, host)); !done)
    return done;
  return host.ip(host_lines(addresses, uplink, number));
}

Result<void> forward(const Host& gateway) {
  for (const std::string_view entry : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
    if (auto set = gateway.set(entry, "1"); !set)
      return set;
  return {};
}

} // namespace

Result<Lan> Lan::build(const Topology& topology, const LanAddresses& addresses, LanKind uplink) {
  const Host& gateway = topology.host("client");
  auto first = Host::create("lan-1"), second = Host::create("lan-2");
  if (!first || !second)
    return (!first ? first : second).error();
  if (auto done = gateway.ip(bridge_lines(addresses, uplink)); !done)
    return done.error();
  if (uplink == LanKind::routed)
    if (auto done = forward(gateway); !done)
      return done.error();
  std::array<Host, 2> hosts{std::move(*first), std::move(*second)};
  for (int number = 1; number <= 2; number++)
    if (auto done = connect(gateway, hosts.at(static_cast<std::size_t>(number - 1)), addresses,
                            uplink, number);
        !done)
      return done.error();
  return Lan{std::move(hosts), addresses};
}

Result<void> filter(const Host& gateway) {
  return load(gateway, {"nft", "-f", "-"}, std::string{filter_rules});
}

Result<void> masquerade(const Host& gateway) {
  return load(gateway, {"nft", "-f", "-"}, std::string{translation_rules});
}

Result<void> enforce_container_rules(const Host& gateway, const LanAddresses& addresses) {
  if (auto done = load(gateway, {"iptables-restore"},
                       fmt::format(container_rules, addresses.ipv4 + "0/24", "127.0.0.0/8"));
      !done)
    return done;
  return load(gateway, {"ip6tables-restore"},
              fmt::format(container_rules, addresses.ipv6 + "/64", "::1/128"));
}

} // namespace trap::lab
