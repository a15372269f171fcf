// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/interface_cells.h"

#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "lab/hosts/addresses.h"

namespace trap::lab {
namespace {

// Moves the host's addresses and default routes from one interface to another, and the routes into
// a table, as " vrf vrf7".
std::string moved(std::string_view from, std::string_view to, std::string_view table = "") {
  const HostAddresses& trap = addresses_of("trap");
  std::string lines;
  for (const std::string& each :
       {fmt::format("{}/{}", trap.ipv4, trap.ipv4_prefix), fmt::format("{}/32", inner_ipv4),
        fmt::format("{}/64", trap.ipv6), fmt::format("{}/128", inner_ipv6)})
    lines += fmt::format("ip address del {0} dev {1} 2>/dev/null\nip address add {0} dev {2}{3}\n",
                         each, from, to, each.find(':') == std::string::npos ? "" : " nodad");
  for (const std::string_view gateway : {trap.ipv4_gateway, trap.ipv6_gateway})
    lines += fmt::format("ip neighbour replace {} lladdr {} dev {}\n", gateway,
                         text_of(trap.router_mac()), to);
  return lines + fmt::format("ip route replace default via {0} dev {2}{3}\n"
                             "ip route replace ::/0 via {1} dev {2}{3}\n",
                             trap.ipv4_gateway, trap.ipv6_gateway, to, table);
}

std::vector<Cell> interfaces_with_others_on_top() {
  std::vector<Cell> cells;
  const std::string bridge =
      fmt::format("ip link add br0 address {} type bridge\nip link set br0 up\n"
                  "ip link set eth0 master br0\n",
                  text_of(addresses_of("trap").mac())) +
      moved("eth0", "br0");
  const auto undo = [](std::string_view of) {
    return moved(of, "eth0") + fmt::format("ip link del {}", of);
  };
  cells.push_back({.name = "a port of a bridge, which has the address, native mode",
                   .host = bridge,
                   .host_undo = undo("br0"),
                   .interfaces = "\"eth0\""});
  cells.push_back({.name = "a bridge that has the address, `xdp_mode = \"generic\"`",
                   .host = bridge,
                   .host_undo = undo("br0"),
                   .interfaces = "\"br0\"",
                   .xdp_mode = "generic"});
  for (const std::string_view interfaces : {"\"eth0\"", "\"br0\""})
    cells.push_back({.name = interfaces == "\"br0\""
                                 ? "a bridge that has the address, `attach = \"tc\"`"
                                 : "a port of a bridge, which has the address, `attach = \"tc\"`",
                     .host = bridge,
                     .host_undo = undo("br0"),
                     .interfaces = interfaces,
                     .at_tc = true});
  const std::string macvlan =
      fmt::format("ip link add mac0 link eth0 address {} type macvlan mode bridge\n"
                  "ip link set mac0 up\n",
                  text_of(cell_mac)) +
      moved("eth0", "mac0");
  cells.push_back({.name = "a macvlan that has the address, TRAP on its lower interface",
                   .other_mac = true,
                   .host = macvlan,
                   .host_undo = undo("mac0"),
                   .interfaces = "\"eth0\""});
  cells.push_back({.name = "a macvlan that has the address, TRAP on it, `xdp_mode = \"generic\"`",
                   .other_mac = true,
                   .host = macvlan,
                   .host_undo = undo("mac0"),
                   .interfaces = "\"mac0\"",
                   .xdp_mode = "generic"});
  cells.push_back({.name = "a macvlan that has the address, `attach = \"tc\"` on it",
                   .other_mac = true,
                   .host = macvlan,
                   .host_undo = undo("mac0"),
                   .interfaces = "\"mac0\"",
                   .at_tc = true});
  const std::string vlan =
      "ip link add vlan7 link eth0 type vlan id 7\nip link set vlan7 up\n" + moved("eth0", "vlan7");
  const std::string has_vlan = "ip link add vlan9 link eth0 type vlan id 9 && ip link del vlan9";
  cells.push_back({.name = "a VLAN device that has the address, TRAP on its lower interface",
                   .needs = has_vlan,
                   .vlan = 7,
                   .host = vlan,
                   .host_undo = undo("vlan7"),
                   .interfaces = "\"eth0\""});
  cells.push_back({.name = "a VLAN device, TRAP on it, `xdp_mode = \"generic\"`",
                   .needs = has_vlan,
                   .vlan = 7,
                   .host = vlan,
                   .host_undo = undo("vlan7"),
                   .interfaces = "\"vlan7\"",
                   .xdp_mode = "generic"});
  const std::string bond =
      "ip link add bond7 type bond mode active-backup miimon 100\nip link set eth0 down\n"
      "ip link set eth0 master bond7\nip link set bond7 up\nip link set eth0 up\n" +
      moved("eth0", "bond7");
  const std::string has_bond = "ip link add bond9 type bond && ip link del bond9";
  const std::string no_bond = "ip link set eth0 nomaster\nip link set eth0 up\n" + undo("bond7");
  cells.push_back({.name = "a VLAN device that has the address, `attach = \"tc\"` on its lower "
                           "interface",
                   .needs = has_vlan,
                   .vlan = 7,
                   .host = vlan,
                   .host_undo = undo("vlan7"),
                   .interfaces = "\"eth0\"",
                   .at_tc = true});
  cells.push_back({.name = "a VLAN device, `attach = \"tc\"` on it",
                   .needs = has_vlan,
                   .vlan = 7,
                   .host = vlan,
                   .host_undo = undo("vlan7"),
                   .interfaces = "\"vlan7\"",
                   .at_tc = true});
  cells.push_back({.name = "a bond, native mode",
                   .needs = has_bond,
                   .host = bond,
                   .host_undo = no_bond,
                   .interfaces = "\"bond7\""});
  cells.push_back({.name = "a port of a bond, native mode",
                   .needs = has_bond,
                   .host = bond,
                   .host_undo = no_bond,
                   .interfaces = "\"eth0\""});
  cells.push_back({.name = "a bond, `attach = \"tc\"`",
                   .needs = has_bond,
                   .host = bond,
                   .host_undo = no_bond,
                   .interfaces = "\"bond7\"",
                   .at_tc = true});
  return cells;
}

// Of one set-up, a cell for each interface that TRAP may be at, and each way in which it may be
// there.
struct Place {
  std::string_view name, interfaces;
  std::string_view xdp_mode = {};
  bool at_tc = false;
};

void add_at(std::vector<Cell>& cells, const Cell& set_up, std::initializer_list<Place> places) {
  for (const Place& place : places) {
    Cell cell = set_up;
    cell.name = place.name;
    cell.interfaces = place.interfaces;
    cell.xdp_mode = place.xdp_mode;
    cell.at_tc = place.at_tc;
    cells.push_back(std::move(cell));
  }
}

std::vector<Cell> tags_upon_tags() {
  std::vector<Cell> cells;
  const std::string bond =
      "ip link add bond7 type bond mode active-backup miimon 100\nip link set eth0 down\n"
      "ip link set eth0 master bond7\nip link set bond7 up\nip link set eth0 up\n"
      "ip link add vlan7 link bond7 type vlan id 7\nip link set vlan7 up\n";
  add_at(cells,
         {.needs = "ip link add bond9 type bond && ip link del bond9",
          .vlan = 7,
          .host = bond + moved("eth0", "vlan7"),
          .host_undo = "ip link set eth0 nomaster\nip link set eth0 up\n" + moved("vlan7", "eth0") +
                       "ip link del bond7"},
         {{"a VLAN on a bond, TRAP on the bond's port", "\"eth0\""},
          {"a VLAN on a bond, TRAP on the bond", "\"bond7\""},
          {"a VLAN on a bond, TRAP on the VLAN, `xdp_mode = \"generic\"`", "\"vlan7\"", "generic"},
          {"a VLAN on a bond, `attach = \"tc\"` on the bond", "\"bond7\"", {}, true}});
  const std::string has_provider_tags =
      "ip link add vlan9 link eth0 type vlan proto 802.1ad id 9 && ip link del vlan9";
  const std::string provider = "ip link add outer7 link eth0 type vlan proto 802.1ad id 70\n"
                               "ip link set outer7 up\n";
  add_at(cells,
         {.needs = has_provider_tags,
          .outer_vlan = 70,
          .host = provider + moved("eth0", "outer7"),
          .host_undo = moved("outer7", "eth0") + "ip link del outer7"},
         {{"a VLAN of 802.1ad, TRAP on its lower interface", "\"eth0\""},
          {"a VLAN of 802.1ad, TRAP on it, `xdp_mode = \"generic\"`", "\"outer7\"", "generic"},
          {"a VLAN of 802.1ad, `attach = \"tc\"` on its lower interface", "\"eth0\"", {}, true}});
  const Cell two_tags = {.needs = has_provider_tags,
                         .vlan = 7,
                         .outer_vlan = 70,
                         .host = provider +
                                 "ip link add vlan7 link outer7 type vlan id 7\n"
                                 "ip link set vlan7 up\n" +
                                 moved("eth0", "vlan7"),
                         .host_undo = moved("vlan7", "eth0") + "ip link del outer7"};
  add_at(
      cells, two_tags,
      {{"a VLAN in one of 802.1ad (QinQ), TRAP on the lowest interface", "\"eth0\""},
       {"a VLAN in one of 802.1ad (QinQ), TRAP on the VLAN, `xdp_mode = \"generic\"`", "\"vlan7\"",
        "generic"},
       {"a VLAN in one of 802.1ad (QinQ), `attach = \"tc\"` on the lowest interface",
        "\"eth0\"",
        {},
        true},
       {"a VLAN in one of 802.1ad (QinQ), `attach = \"tc\"` on the VLAN", "\"vlan7\"", {}, true}});
  const std::string filtering =
      fmt::format("ip link add br0 address {} type bridge vlan_filtering 1\nip link set br0 up\n"
                  "ip link set eth0 master br0\nbridge vlan add dev br0 vid 7 self\n"
                  "ip link add vlan7 link br0 type vlan id 7\nip link set vlan7 up\n",
                  text_of(addresses_of("trap").mac()));
  const std::string has_filtering =
      "ip link add br9 type bridge vlan_filtering 1 && ip link del br9 && "
      "ip link add vlan9 link eth0 type vlan id 9 && ip link del vlan9";
  const std::string no_bridge = moved("vlan7", "eth0") + "ip link del br0";
  add_at(cells,
         {.needs = has_filtering,
          .vlan = 7,
          .host = filtering + "bridge vlan add dev eth0 vid 7\n" + moved("eth0", "vlan7"),
          .host_undo = no_bridge},
         {{"a VLAN of a bridge that filters by it, TRAP on the port", "\"eth0\""},
          {"a VLAN of a bridge that filters by it, TRAP on the VLAN, `xdp_mode = \"generic\"`",
           "\"vlan7\"", "generic"},
          {"a VLAN of a bridge that filters by it, `attach = \"tc\"` on the port",
           "\"eth0\"",
           {},
           true},
          {"a VLAN of a bridge that filters by it, `attach = \"tc\"` on the bridge",
           "\"br0\"",
           {},
           true}});
  add_at(cells,
         {.needs = has_filtering,
          .host =
              filtering + "bridge vlan add dev eth0 vid 7 pvid untagged\n" + moved("eth0", "vlan7"),
          .host_undo = no_bridge},
         {{"a VLAN that a bridge gives its port's frames, TRAP on the port", "\"eth0\""},
          {"a VLAN that a bridge gives its port's frames, `attach = \"tc\"` on the port",
           "\"eth0\"",
           {},
           true},
          {"a VLAN that a bridge gives its port's frames, `attach = \"tc\"` on the bridge",
           "\"br0\"",
           {},
           true}});
  return cells;
}

std::vector<Cell> ipvlans() {
  std::vector<Cell> cells;
  const auto set_up = [&](std::string_view mode) -> Cell {
    return {.needs = "ip link add ipv9 link eth0 type ipvlan && ip link del ipv9",
            .host = fmt::format("ip link add ipv0 link eth0 type ipvlan mode {}\n"
                                "ip link set ipv0 up\n",
                                mode) +
                    moved("eth0", "ipv0"),
            .host_undo = moved("ipv0", "eth0") + "ip link del ipv0"};
  };
  add_at(cells, set_up("l2"),
         {{"an ipvlan (L2) that has the address, TRAP on its lower interface", "\"eth0\""},
          {"an ipvlan (L2), TRAP on it, `xdp_mode = \"generic\"`", "\"ipv0\"", "generic"},
          {"an ipvlan (L2), `attach = \"tc\"` on its lower interface", "\"eth0\"", {}, true},
          {"an ipvlan (L2), `attach = \"tc\"` on it", "\"ipv0\"", {}, true}});
  return cells;
}

// A link of Ethernet within the one that eth0 has, with another end at the router.
std::vector<Cell> links_within_links() {
  const auto set_up = [](std::string_view near, std::string_view far, std::string_view needs) {
    const std::string both = "ip link set tun7 up; ip link set tun7 address ";
    return Cell{.needs = std::string{needs},
                .other_mac = true,
                .wire = "tun7",
                .host = fmt::format("ip address add 192.0.2.130/31 dev eth0\n{}\n{}{}\n", near,
                                    both, text_of(cell_mac)) +
                        moved("eth0", "tun7"),
                .host_undo = moved("tun7", "eth0") +
                             "ip link del tun7; ip address del 192.0.2.130/31 dev eth0",
                .router = fmt::format("ip address add 192.0.2.131/31 dev trap\n{}\n{}{}", far, both,
                                      text_of(addresses_of("trap").router_mac())),
                .router_undo = "ip link del tun7; ip address del 192.0.2.131/31 dev trap"};
  };
  std::vector<Cell> cells;
  constexpr std::string_view vxlan =
      "ip link add tun7 type vxlan id 7 local 192.0.2.{} remote 192.0.2.{} dev {} dstport 4789";
  add_at(cells,
         set_up(fmt::format(vxlan, 130, 131, "eth0"), fmt::format(vxlan, 131, 130, "trap"),
                "ip link add tun9 type vxlan id 9 dev eth0 dstport 4789 && ip link del tun9"),
         {{"VXLAN, `xdp_mode = \"generic\"`", "\"tun7\"", "generic"},
          {"VXLAN, `attach = \"tc\"`", "\"tun7\"", {}, true}});
  constexpr std::string_view gre =
      "ip link add tun7 type gretap local 192.0.2.{} remote 192.0.2.{}";
  add_at(cells,
         set_up(fmt::format(gre, 130, 131), fmt::format(gre, 131, 130),
                "ip link add tun9 type gretap remote 192.0.2.131 && ip link del tun9"),
         {{"Ethernet in GRE (gretap), `xdp_mode = \"generic\"`", "\"tun7\"", "generic"},
          {"Ethernet in GRE (gretap), `attach = \"tc\"`", "\"tun7\"", {}, true}});
  constexpr std::string_view geneve = "ip link add tun7 type geneve id 7 remote 192.0.2.{}";
  add_at(cells,
         set_up(fmt::format(geneve, 131), fmt::format(geneve, 130),
                "ip link add tun9 type geneve id 9 remote 192.0.2.131 && ip link del tun9"),
         {{"Geneve, `xdp_mode = \"generic\"`", "\"tun7\"", "generic"},
          {"Geneve, `attach = \"tc\"`", "\"tun7\"", {}, true}});
  const auto macsec = [](std::string_view lower, const MacAddress& own, const MacAddress& other) {
    constexpr std::string_view key = "00112233445566778899aabbccddeeff";
    return fmt::format("ip link add link {0} tun7 address {1} type macsec port 1 encrypt on\n"
                       "ip macsec add tun7 tx sa 0 pn 1 on key 00 {3}\n"
                       "ip macsec add tun7 rx port 1 address {2}\n"
                       "ip macsec add tun7 rx port 1 address {2} sa 0 pn 1 on key 00 {3}\n",
                       lower, text_of(own), text_of(other), key);
  };
  const MacAddress far = addresses_of("trap").router_mac();
  add_at(cells,
         set_up(macsec("eth0", cell_mac, far), macsec("trap", far, cell_mac),
                "ip link add link eth0 tun9 type macsec && ip link del tun9"),
         {{"MACsec, TRAP on it, `xdp_mode = \"generic\"`", "\"tun7\"", "generic"},
          {"MACsec, `attach = \"tc\"` on it", "\"tun7\"", {}, true}});
  return cells;
}

// Addresses that are not of the interface by which clients come.
std::vector<Cell> addresses_elsewhere() {
  const HostAddresses& trap = addresses_of("trap");
  const auto moved_to_lo = fmt::format(
      "ip address add 203.0.113.200/24 dev eth0; ip address add 2001:db8:113::200/64 dev eth0 "
      "nodad\n"
      "ip address del {0}/{1} dev eth0; ip address del {2}/64 dev eth0\n",
      trap.ipv4, trap.ipv4_prefix, trap.ipv6);
  const std::string routes = "ip route replace default via 203.0.113.1\n"
                             "ip route replace ::/0 via 2001:db8:113::1\n";
  const std::string undo =
      fmt::format("ip address add {0}/{1} dev eth0; ip address add {2}/64 dev eth0 nodad\n"
                  "ip address del 203.0.113.200/24 dev eth0\n"
                  "ip address del 2001:db8:113::200/64 dev eth0\n",
                  trap.ipv4, trap.ipv4_prefix, trap.ipv6) +
      routes;
  return {{.name = "addresses on the loopback device, routed to the host (anycast)",
           .host = moved_to_lo +
                   fmt::format("ip address add {}/32 dev lo\nip address add {}/128 dev lo\n",
                               trap.ipv4, trap.ipv6) +
                   routes,
           .host_undo = fmt::format("ip address del {}/32 dev lo; ip address del {}/128 dev lo\n",
                                    trap.ipv4, trap.ipv6) +
                        undo},
          {.name = "addresses of a local route alone (AnyIP)",
           .host = moved_to_lo +
                   fmt::format("ip route add local {}/32 dev lo\n"
                               "ip -6 route add local {}/128 dev lo\n",
                               trap.ipv4, trap.ipv6) +
                   routes,
           .host_undo = fmt::format("ip route del local {}/32 dev lo\n"
                                    "ip -6 route del local {}/128 dev lo\n",
                                    trap.ipv4, trap.ipv6) +
                        undo}};
}

std::vector<Cell> veths() {
  const std::string gro_off = "ethtool -K trap gro off", gro_on = "ethtool -K trap gro on";
  std::vector<Cell> cells;
  cells.push_back({.name = "veth, native mode"});
  cells.push_back({.name = "veth, `xdp_mode = \"generic\"`", .xdp_mode = "generic"});
  for (const auto& [name, left, gro] :
       {std::tuple{"veth whose other end runs no XDP program, at peace", true, gro_off},
        std::tuple{"veth whose other end runs no XDP program, under defence", false, gro_off},
        std::tuple{"veth whose other end has GRO, and no XDP program, under defence", false,
                   gro_on}}) {
    Cell cell = {.name = name, .left = left, .router = gro, .router_undo = gro_off};
    cell.peer_is_bare = true;
    cell.at_peace = left;
    if (!left) {
      cell.outcome = CellOutcome::degraded;
      cell.remark = "answers of XDP's would be lost: the stack answers, unprotected; equal with "
                    "`attach = \"tc\"`";
      cell.named = "the other end of this veth runs no XDP program";
      cell.quick = gro == gro_off;
    }
    cells.push_back(std::move(cell));
  }
  Cell generic = {.name = "veth whose other end runs no XDP program, `xdp_mode = \"generic\"`"};
  generic.peer_is_bare = true;
  generic.xdp_mode = "generic";
  cells.push_back(generic);
  cells.push_back({.name = "veth, `attach = \"tc\"`", .at_tc = true});
  for (const auto& [name, gro] :
       {std::tuple{"veth whose other end runs no XDP program, `attach = \"tc\"`", gro_off},
        std::tuple{"veth whose other end has GRO, and no XDP program, `attach = \"tc\"`",
                   gro_on}}) {
    Cell at_tc = {.name = name, .router = gro, .router_undo = gro_off};
    at_tc.peer_is_bare = true;
    at_tc.at_tc = true;
    at_tc.quick = gro == gro_off;
    cells.push_back(std::move(at_tc));
  }
  const std::pair<std::string_view, Course> bursts[] = {
      {"threaded NAPI, ACK and a request of 1 segment at once", Course::burst_of_one},
      {"threaded NAPI, ACK and a request of 2 segments at once", Course::burst_of_two},
      {"threaded NAPI, ACK and a request of 10 segments at once", Course::burst_of_ten}};
  for (const auto& [name, course] : bursts)
    cells.push_back({.name = name,
                     .course = course,
                     .threaded = true,
                     .quick = course == Course::burst_of_ten});
  const auto steer = [](int cpus) {
    return fmt::format("unshare --mount sh -ec 'mount -t sysfs sysfs /sys\n"
                       "echo {} >/sys/class/net/eth0/queues/rx-0/rps_cpus'",
                       cpus);
  };
  cells.push_back({.name = "receive packet steering to two CPUs (`rps_cpus`)",
                   .course = Course::burst_of_ten,
                   .host = steer(3),
                   .host_undo = steer(0)});
  return cells;
}

// The host's addresses and routes are in the VRF; listeners take clients of any.
Cell in_vrf() {
  const HostAddresses& trap = addresses_of("trap");
  const std::string addresses_and_routes =
      fmt::format("ip address replace {0}/{1} dev eth0; ip address replace {2}/128 dev eth0 nodad\n"
                  "ip address replace {3}/64 dev eth0 nodad\n"
                  "ip neighbour replace {4} lladdr {6} dev eth0; ip neighbour replace {5} lladdr "
                  "{6} dev eth0\n",
                  trap.ipv4, trap.ipv4_prefix, inner_ipv6, trap.ipv6, trap.ipv4_gateway,
                  trap.ipv6_gateway, text_of(trap.router_mac()));
  return {.name = "an interface in a VRF, `tcp_l3mdev_accept = 1`",
          .outcome = CellOutcome::degraded,
          .remark = "the stack answers, unprotected",
          .named = "is in a VRF",
          .needs = "ip link add vrf9 type vrf table 9 && ip link del vrf9",
          .host = "ip link add vrf7 type vrf table 7; ip link set vrf7 up\n"
                  "ip link set eth0 master vrf7; sysctl -qw net.ipv4.tcp_l3mdev_accept=1\n" +
                  addresses_and_routes +
                  fmt::format("ip route replace default via {} vrf vrf7\n"
                              "ip route replace ::/0 via {} vrf vrf7",
                              trap.ipv4_gateway, trap.ipv6_gateway),
          .host_undo = "ip link set eth0 nomaster; ip link del vrf7\n"
                       "sysctl -qw net.ipv4.tcp_l3mdev_accept=0\n" +
                       addresses_and_routes +
                       fmt::format("ip route replace default via {}\nip route replace ::/0 via {}",
                                   trap.ipv4_gateway, trap.ipv6_gateway)};
}

Cell in_vrf_by_vlan() {
  return {.name = "an interface whose VLAN is in a VRF and has the address",
          .outcome = CellOutcome::degraded,
          .remark = "the stack answers, unprotected",
          .named = "vlan7 (upon eth0) is in a VRF",
          .needs = "ip link add vrf9 type vrf table 9 && ip link del vrf9 && "
                   "ip link add vlan9 link eth0 type vlan id 9 && ip link del vlan9",
          .vlan = 7,
          .host = "ip link add vrf7 type vrf table 7; ip link set vrf7 up\n"
                  "ip link add vlan7 link eth0 type vlan id 7\n"
                  "ip link set vlan7 master vrf7; ip link set vlan7 up\n"
                  "sysctl -qw net.ipv4.tcp_l3mdev_accept=1\n" +
                  moved("eth0", "vlan7", " vrf vrf7"),
          .host_undo = moved("vlan7", "eth0") + "ip link del vlan7; ip link del vrf7\n"
                                                "sysctl -qw net.ipv4.tcp_l3mdev_accept=0"};
}

} // namespace

std::vector<Cell> interface_cells() {
  std::vector<Cell> cells;
  for (auto more : {veths(), addresses_elsewhere(), interfaces_with_others_on_top(),
                    tags_upon_tags(), ipvlans(), links_within_links()})
    for (Cell& cell : more)
      cells.push_back(std::move(cell));
  cells.push_back(in_vrf());
  cells.push_back(in_vrf_by_vlan());
  const auto add_tunnel = [&](std::string_view name, std::string_view remark,
                              std::string_view made) {
    cells.push_back({.name = name,
                     .outcome = CellOutcome::refused,
                     .remark = remark,
                     .named = "have no Ethernet header",
                     .needs = fmt::format("{} && ip link del tun9", made),
                     .host = fmt::format("{}; ip link set tun9 up", made),
                     .host_undo = "ip link del tun9",
                     .interfaces = "\"tun9\""});
  };
  add_tunnel("a tunnel without a link layer (tun)", "so are PPP and IPIP",
             "ip tuntap add mode tun name tun9");
  add_tunnel("WireGuard", "", "ip link add tun9 type wireguard");
  add_tunnel("GRE", "", "ip link add tun9 type gre remote 192.0.2.131");
  add_tunnel("IPv4 in IPv4 (ipip)", "", "ip link add tun9 type ipip remote 192.0.2.131");
  add_tunnel("IPv6 in IPv4 (sit)", "", "ip link add tun9 type sit remote 192.0.2.131");
  add_tunnel("GRE over IPv6 (ip6gre)", "", "ip link add tun9 type ip6gre remote 2001:db8:113::1");
  add_tunnel("IPv6 or IPv4 in IPv6 (ip6tnl)", "",
             "ip link add tun9 type ip6tnl remote 2001:db8:113::1");
  for (Cell& cell : cells)
    cell.axis = "interface";
  return cells;
}

} // namespace trap::lab
