// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/cells.h"

#include <string>
#include <utility>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/addresses.h"
#include "lab/matrix/interface_cells.h"
#include "lab/matrix/matrix.h"

namespace trap::lab {
namespace {

constexpr std::string_view no_rules = "nft delete table inet cell";
constexpr const char* has_tcx = "test $(uname -r | cut -d. -f1) -gt 6 -o "
                                "\\( $(uname -r | cut -d. -f1) -eq 6 -a "
                                "$(uname -r | cut -d. -f2) -ge 6 \\)";

// Rules that take something from TRAP, and in what way its clients are answered then.
Cell with_rules(std::string_view name, std::string_view remark, std::string_view named,
                std::string rules) {
  return {.axis = "neighbour",
          .name = name,
          .outcome = named.empty() ? CellOutcome::equal : CellOutcome::degraded,
          .remark = remark,
          .named = named,
          .host = std::move(rules),
          .host_undo = std::string{no_rules}};
}

Cell with_setting(std::string_view name, std::string host, std::string undo, bool quick = false) {
  return {.axis = "setting",
          .name = name,
          .host = std::move(host),
          .host_undo = std::move(undo),
          .quick = quick};
}

Cell with_routes(std::string_view name, std::string host, bool quick = false) {
  return {.axis = "route",
          .name = name,
          .host = std::move(host),
          .host_undo = "ip route flush 198.18.0.0/15; ip -6 route flush 2001:db8:feed::/48\n"
                       "for family in -4 -6; do ip $family rule del priority 77 2>/dev/null; "
                       "ip $family route flush table 100 2>/dev/null; done\n"
                       "ip route replace default via 203.0.113.1\n"
                       "ip route replace ::/0 via 2001:db8:113::1",
          .quick = quick};
}

Cell with_listener(std::string_view name, Listening listening) {
  return {.axis = "listener", .name = name, .listening = std::move(listening)};
}

std::vector<Cell> clients() {
  std::vector<Cell> cells;
  const auto add = [&](Cell cell) {
    cell.axis = "client";
    cells.push_back(std::move(cell));
  };
  add({.name = "Linux, with ECN, with accurate ECN, without SACK",
       .shapes = {"Linux", "Linux with ECN", "Linux with accurate ECN", "Linux without SACK"},
       .quick = true});
  add({.name = "Linux without window scaling", .shapes = {"Linux without window scaling"}});
  add({.name = "Windows, Linux without timestamps",
       .remark = "the stack learns the round trip with the first data",
       .differs = {"stack: round trip, us"},
       .shapes = {"Windows", "Linux without timestamps"},
       .quick = true});
  add({.name = "Windows with ECN",
       .remark = "no ECN",
       .differs = {"SYN-ACK: flags", "stack: ECN", "data: DSCP and ECN", "stack: round trip, us"},
       .shapes = {"Windows with ECN"}});
  add({.name = "macOS, iOS with ECN", .shapes = {"macOS", "iOS"}, .quick = true});
  add({.name = "Android", .shapes = {"Android"}});
  add({.name = "FreeBSD, OpenBSD", .shapes = {"FreeBSD", "OpenBSD"}});
  add({.name = "NetBSD without timestamps, window scale 3",
       .remark = "the scale is taken for 2",
       .differs = {"stack: the client's scale", "stack: round trip, us"},
       .shapes = {"NetBSD without timestamps"}});
  add({.name = "lwIP: an MSS of 536 and no other option",
       .remark = "the stack learns the round trip with the first data; by IPv6 it sends up to 1220 "
                 "bytes at once",
       .differs = {"stack: round trip, us", "stack: largest segment"},
       .shapes = {"lwIP"}});
  add({.name = "a SYN without options",
       .remark = "the answer names no MSS; the stack learns the round trip with the first data",
       .differs = {"SYN-ACK: MSS", "SYN-ACK: options", "stack: round trip, us"},
       .shapes = {"a stack without options"}});
  add({.name = "MSS 1452",
       .remark = "taken for 1440",
       .differs = {"stack: largest segment"},
       .shapes = {"a client behind PPPoE"}});
  add({.name = "a SYN with a DSCP", .shapes = {"a marked SYN"}});
  add({.name = "the request completes the handshake", .course = Course::at_once, .quick = true});
  add({.name = "request and FIN complete the handshake",
       .course = Course::last_word,
       .quick = true});
  add({.name = "the server speaks first", .course = Course::banner, .quick = true});
  add({.name = "a request of several segments", .course = Course::long_request});
  return cells;
}

std::vector<Cell> settings() {
  std::vector<Cell> cells = {
      with_setting("`tcp_timestamps = 0`", "sysctl -qw net.ipv4.tcp_timestamps=0",
                   "sysctl -qw net.ipv4.tcp_timestamps=1"),
      with_setting("`tcp_timestamps = 2`", "sysctl -qw net.ipv4.tcp_timestamps=2",
                   "sysctl -qw net.ipv4.tcp_timestamps=1"),
      with_setting("`tcp_sack = 0`", "sysctl -qw net.ipv4.tcp_sack=0",
                   "sysctl -qw net.ipv4.tcp_sack=1", true),
      with_setting("`tcp_window_scaling = 0`", "sysctl -qw net.ipv4.tcp_window_scaling=0",
                   "sysctl -qw net.ipv4.tcp_window_scaling=1"),
      with_setting("`tcp_ecn = 0`, a client with ECN", "sysctl -qw net.ipv4.tcp_ecn=0",
                   "sysctl -qw net.ipv4.tcp_ecn=2"),
      with_setting("`tcp_ecn = 1`, a client with ECN", "sysctl -qw net.ipv4.tcp_ecn=1",
                   "sysctl -qw net.ipv4.tcp_ecn=2"),
      with_setting("`tcp_syncookies = 2`", "sysctl -qw net.ipv4.tcp_syncookies=2",
                   "sysctl -qw net.ipv4.tcp_syncookies=1"),
      with_setting("`rp_filter = 1`",
                   "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1",
                   "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0"),
      with_setting("`rp_filter = 2`",
                   "sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.eth0.rp_filter=2",
                   "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0"),
      with_setting("`ip_default_ttl` and `hop_limit` 128",
                   "sysctl -qw net.ipv4.ip_default_ttl=128 net.ipv6.conf.eth0.hop_limit=128",
                   "sysctl -qw net.ipv4.ip_default_ttl=64 net.ipv6.conf.eth0.hop_limit=64", true),
      with_setting("`tcp_reflect_tos = 1`", "sysctl -qw net.ipv4.tcp_reflect_tos=1",
                   "sysctl -qw net.ipv4.tcp_reflect_tos=0"),
      with_setting("`ip_no_pmtu_disc = 1`", "sysctl -qw net.ipv4.ip_no_pmtu_disc=1",
                   "sysctl -qw net.ipv4.ip_no_pmtu_disc=0"),
      with_setting("`tcp_mtu_probing = 2`", "sysctl -qw net.ipv4.tcp_mtu_probing=2",
                   "sysctl -qw net.ipv4.tcp_mtu_probing=0"),
  };
  cells[4].shapes = cells[5].shapes = {"Linux with ECN"};
  cells[0].remark = "the stack learns the round trip with the first data";
  cells[0].differs = {"stack: round trip, us"};
  cells[10].shapes = {"a marked SYN"};
  cells[10].remark = "the SYN-ACK has no DSCP, later packets have it";
  cells[10].differs = {"SYN-ACK: DSCP and ECN"};
  Cell without_cookies =
      with_setting("`tcp_syncookies = 0`", "sysctl -qw net.ipv4.tcp_syncookies=0",
                   "sysctl -qw net.ipv4.tcp_syncookies=1");
  without_cookies.outcome = CellOutcome::degraded;
  without_cookies.remark = "the stack answers, unprotected";
  without_cookies.named = "net.ipv4.tcp_syncookies is 0, with which";
  cells.push_back(without_cookies);
  Cell accurate = with_setting("`tcp_ecn` 3, 4 and 5, clients with ECN", "", "");
  accurate.turns = {"net.ipv4.tcp_ecn=3", "net.ipv4.tcp_ecn=4", "net.ipv4.tcp_ecn=5"};
  accurate.needs = "old=$(sysctl -n net.ipv4.tcp_ecn) && sysctl -qw net.ipv4.tcp_ecn=3 && "
                   "sysctl -qw net.ipv4.tcp_ecn=$old";
  accurate.shapes = {"Linux", "Linux with ECN", "Linux with accurate ECN", "iOS"};
  cells.push_back(accurate);
  Cell windows = with_setting("`tcp_workaround_signed_windows = 1`",
                              "sysctl -qw net.ipv4.tcp_workaround_signed_windows=1",
                              "sysctl -qw net.ipv4.tcp_workaround_signed_windows=0");
  windows.remark = "the first window is one of whole segments";
  windows.differs = {"SYN-ACK: window"};
  cells.push_back(windows);
  Cell others = with_setting("every other setting of TCP and IP that is on or off, turned the "
                             "other way",
                             "", "");
  others.every_switch = true;
  cells.push_back(others);
  Cell numbers = with_setting("buffers, queues and limits", "", "");
  numbers.turns = {"net.ipv4.tcp_rmem=4096 8192 16384",
                   "net.ipv4.tcp_rmem=4096 1000000 64000000",
                   "net.ipv4.tcp_wmem=4096 8192 16384",
                   "net.ipv4.tcp_adv_win_scale=-2",
                   "net.ipv4.tcp_adv_win_scale=3",
                   "net.ipv4.tcp_app_win=0",
                   "net.ipv4.tcp_min_snd_mss=500",
                   "net.ipv4.tcp_max_syn_backlog=1",
                   "net.ipv4.tcp_synack_retries=0",
                   "net.ipv4.tcp_fastopen=3",
                   "net.ipv4.tcp_fastopen=1027",
                   "net.ipv4.tcp_mtu_probing=1",
                   "net.ipv4.route.min_adv_mss=1400",
                   "net.ipv4.tcp_notsent_lowat=4096",
                   "net.ipv4.tcp_congestion_control=reno",
                   "net.ipv6.auto_flowlabels=3",
                   "net.ipv6.flowlabel_reflect=7",
                   "net.core.somaxconn=1",
                   "net.ipv4.tcp_tw_reuse=1",
                   "net.ipv4.ip_no_pmtu_disc=2",
                   "net.ipv4.ip_no_pmtu_disc=3",
                   "net.ipv4.tcp_fin_timeout=1",
                   "net.ipv4.tcp_rto_min_us=5000"};
  cells.push_back(numbers);
  return cells;
}

std::vector<Cell> routes() {
  std::vector<Cell> cells = {
      with_routes("default route with `advmss 1300`",
                  "ip route replace default via 203.0.113.1 advmss 1300\n"
                  "ip route replace ::/0 via 2001:db8:113::1 advmss 1300",
                  true),
      with_routes("default route with `mtu 1400`",
                  "ip route replace default via 203.0.113.1 mtu 1400\n"
                  "ip route replace ::/0 via 2001:db8:113::1 mtu 1400"),
      with_routes("a route to some clients with `advmss 1300`",
                  "ip route replace 198.18.0.0/15 via 203.0.113.1 advmss 1300\n"
                  "ip route replace 2001:db8:feed::/48 via 2001:db8:113::1 advmss 1300"),
      with_routes("a route to some clients with `mtu 1400`",
                  "ip route replace 198.18.0.0/15 via 203.0.113.1 mtu 1400\n"
                  "ip route replace 2001:db8:feed::/48 via 2001:db8:113::1 mtu 1400"),
      with_routes("default route with `hoplimit 99`",
                  "ip route replace default via 203.0.113.1 hoplimit 99\n"
                  "ip route replace ::/0 via 2001:db8:113::1 hoplimit 99"),
      with_routes("default route with `congctl reno`",
                  "ip route replace default via 203.0.113.1 congctl reno\n"
                  "ip route replace ::/0 via 2001:db8:113::1 congctl reno"),
      with_routes("default route with `initcwnd 4`",
                  "ip route replace default via 203.0.113.1 initcwnd 4\n"
                  "ip route replace ::/0 via 2001:db8:113::1 initcwnd 4"),
  };
  for (Cell* cell : {&cells[2], &cells[3]}) {
    cell->outcome = CellOutcome::degraded;
    cell->remark = "clients are told what the default route asks for";
    cell->named = "asks for an MSS of";
  }
  Cell narrow = with_routes("default route with `window 8000`",
                            "ip route replace default via 203.0.113.1 window 8000\n"
                            "ip route replace ::/0 via 2001:db8:113::1 window 8000");
  narrow.outcome = CellOutcome::degraded;
  narrow.remark = "the first window that clients are told is the listener's";
  narrow.named = "limits the first window";
  cells.push_back(narrow);
  Cell bbr = with_routes("default route with `congctl bbr`",
                         "ip route replace default via 203.0.113.1 congctl bbr\n"
                         "ip route replace ::/0 via 2001:db8:113::1 congctl bbr");
  bbr.needs = "grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control";
  cells.push_back(bbr);
  Cell no_default =
      with_routes("no default route, one to clients with `advmss 1300`",
                  "ip route del default; ip -6 route del ::/0\n"
                  "ip route replace 198.18.0.0/15 via 203.0.113.1 advmss 1300\n"
                  "ip route replace 2001:db8:feed::/48 via 2001:db8:113::1 advmss 1300");
  no_default.outcome = CellOutcome::degraded;
  no_default.remark = "clients are told what the default route asks for";
  no_default.named = "asks for an MSS of";
  cells.push_back(no_default);
  cells.push_back(with_routes("by a rule for the service's address, a default route of another "
                              "table with `advmss 1300`",
                              "ip rule add from 203.0.113.10 priority 77 lookup 100\n"
                              "ip -6 rule add from 2001:db8:113::10 priority 77 lookup 100\n"
                              "ip route add default via 203.0.113.1 advmss 1300 table 100\n"
                              "ip -6 route add ::/0 via 2001:db8:113::1 advmss 1300 table 100"));
  cells.push_back(
      with_routes("a default route of two next hops",
                  "ip neighbour replace 203.0.113.3 lladdr 02:00:00:00:04:01 dev eth0\n"
                  "ip neighbour replace 2001:db8:113::3 lladdr 02:00:00:00:04:01 dev eth0\n"
                  "ip route replace default nexthop via 203.0.113.1 nexthop via 203.0.113.3\n"
                  "ip -6 route del ::/0\n"
                  "ip -6 route add ::/0 nexthop via 2001:db8:113::1 nexthop via 2001:db8:113::3"));
  Cell ecn = with_routes("`tcp_ecn = 0`, default route with `features ecn`, a client with ECN",
                         "sysctl -qw net.ipv4.tcp_ecn=0\n"
                         "ip route replace default via 203.0.113.1 features ecn\n"
                         "ip route replace ::/0 via 2001:db8:113::1 features ecn");
  ecn.host_undo += "\nsysctl -qw net.ipv4.tcp_ecn=2";
  ecn.shapes = {"Linux with ECN"};
  cells.push_back(ecn);
  Cell first_window = narrow;
  first_window.name = "default route with `initrwnd 20`";
  first_window.host = "ip route replace default via 203.0.113.1 initrwnd 20\n"
                      "ip route replace ::/0 via 2001:db8:113::1 initrwnd 20";
  cells.push_back(first_window);
  cells.push_back(with_routes("default route with `quickack 1`",
                              "ip route replace default via 203.0.113.1 quickack 1\n"
                              "ip route replace ::/0 via 2001:db8:113::1 quickack 1"));
  Cell elsewhere = with_routes("SYNs come from another router than answers go to", "true");
  elsewhere.other_next_hop = true;
  elsewhere.quick = true;
  cells.push_back(elsewhere);
  return cells;
}

// Programs choose them, or the server does not do what clients wait for.
std::vector<Cell> chosen_listeners() {
  const std::vector<std::string_view> many = {"Linux",   "macOS",   "iOS",
                                              "Android", "FreeBSD", "OpenBSD"};
  std::vector<Cell> cells;
  const auto add = [&](std::string_view name, Listening listening, bool at_tc = false) -> Cell& {
    cells.push_back(with_listener(name, std::move(listening)));
    cells.back().at_tc = at_tc;
    return cells.back();
  };
  const auto choose = [&](std::string_view name, Chooser chooser, bool at_tc = false) {
    Cell& cell = add(name, {.several = 3, .chooser = chooser}, at_tc);
    cell.shapes = many; // by chance one in three is right
  };
  const auto behave = [&](std::string_view name, Course course, bool at_tc = false) {
    add(name, {}, at_tc).course = course;
  };
  choose("SO_ATTACH_REUSEPORT_CBPF chooses one of three", Chooser::classic_filter);
  choose("SO_ATTACH_REUSEPORT_EBPF chooses one of three", Chooser::filter);
  choose("an sk_reuseport program chooses one of three", Chooser::program);
  choose("an sk_reuseport program chooses one of three, `attach = \"tc\"`", Chooser::program, true);
  add("an sk_lookup program leads clients to another port", {.elsewhere = true, .steered = true});
  add("an sk_lookup program leads clients to loopback",
      {.elsewhere = true, .steered = true, .loopback = true});
  add("an sk_lookup program leads clients to loopback, `attach = \"tc\"`",
      {.elsewhere = true, .steered = true, .loopback = true}, true);
  add("SO_ATTACH_FILTER, a filter that takes all", {.filtered = true});
  add("listen() is called again with a backlog of 0", {.again = 0});
  add("shut down (SHUT_RD), and listens again", {.again = 64, .shut = true});
  add("shut down (SHUT_RD)", {.shut = true}).left = true;
  behave("the server does not accept yet", Course::unaccepted);
  behave("the server does not accept yet, `attach = \"tc\"`", Course::unaccepted, true);
  behave("the server hangs up at once", Course::hangs_up);
  behave("the server hangs up at once, `attach = \"tc\"`", Course::hangs_up, true);
  behave("the server resets connections at once (SO_LINGER 0)", Course::resets);
  behave("the server resets connections at once (SO_LINGER 0), `attach = \"tc\"`", Course::resets,
         true);
  return cells;
}

std::vector<Cell> listeners() {
  std::vector<Cell> cells = {
      with_listener("TCP_MAXSEG 1000", {.options = {{IPPROTO_TCP, TCP_MAXSEG, 1000}}}),
      with_listener("TCP_MAXSEG 1250", {.options = {{IPPROTO_TCP, TCP_MAXSEG, 1250}}}),
      with_listener("SO_BINDTODEVICE", {.bound = true}),
      with_listener("SO_REUSEPORT, three listeners", {.several = 3}),
      with_listener("at the unspecified address", {.anywhere = true}),
      with_listener("SO_RCVBUF 8192", {.options = {{SOL_SOCKET, SO_RCVBUF, 8192}}}),
      with_listener("TCP_WINDOW_CLAMP 10000",
                    {.options = {{IPPROTO_TCP, TCP_WINDOW_CLAMP, 10000}}}),
      with_listener("TCP_FASTOPEN", {.options = {{IPPROTO_TCP, TCP_FASTOPEN, 16}}}),
      with_listener("IP_TTL and IPV6_UNICAST_HOPS 99",
                    {.options = {{IPPROTO_IP, IP_TTL, 99}, {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 99}}}),
      with_listener("IP_TOS and IPV6_TCLASS 40",
                    {.options = {{IPPROTO_IP, IP_TOS, 40}, {IPPROTO_IPV6, IPV6_TCLASS, 40}}}),
      with_listener("an IPv6 socket at the unspecified address, for both families",
                    {.mixed = true}),
      with_listener("IP_TRANSPARENT", {.transparent = true}),
      with_listener("IP_FREEBIND", {.options = {{IPPROTO_IP, IP_FREEBIND, 1}}}),
      with_listener("IP_PMTUDISC_DONT", {.options = {{IPPROTO_IP, IP_MTU_DISCOVER, 0},
                                                     {IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0}}}),
      with_listener("IP_PMTUDISC_PROBE", {.options = {{IPPROTO_IP, IP_MTU_DISCOVER, 3},
                                                      {IPPROTO_IPV6, IPV6_MTU_DISCOVER, 3}}}),
      with_listener("SO_RCVBUFFORCE 64 MiB", {.options = {{SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20}}}),
      with_listener("SO_PRIORITY, SO_KEEPALIVE, TCP_NODELAY, TCP_NOTSENT_LOWAT, SO_BUSY_POLL",
                    {.options = {{SOL_SOCKET, SO_PRIORITY, 5},
                                 {SOL_SOCKET, SO_KEEPALIVE, 1},
                                 {IPPROTO_TCP, TCP_NODELAY, 1},
                                 {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384},
                                 {SOL_SOCKET, SO_BUSY_POLL, 50}}}),
  };
  Cell marked = with_listener("SO_MARK, and a rule by it to a default route with `advmss 1300`",
                              {.options = {{SOL_SOCKET, SO_MARK, 7}}});
  marked.host = "ip rule add fwmark 7 priority 77 lookup 100\n"
                "ip -6 rule add fwmark 7 priority 77 lookup 100\n"
                "ip route add default via 203.0.113.1 advmss 1300 table 100\n"
                "ip -6 route add ::/0 via 2001:db8:113::1 advmss 1300 table 100";
  marked.host_undo = "for family in -4 -6; do ip $family rule del priority 77; "
                     "ip $family route flush table 100; done";
  cells.push_back(marked);
  Cell defers =
      with_listener("TCP_DEFER_ACCEPT", {.options = {{IPPROTO_TCP, TCP_DEFER_ACCEPT, 5}}});
  defers.remark = "the server gets the connection before the first data";
  defers.differs = {"accepted before data", "stack: round trip, us"};
  cells.push_back(defers);
  cells.front().remark = "by IPv6 the stack sends up to 1220 bytes at once";
  cells.front().differs = {"stack: largest segment"};
  const auto follows = [&](std::string_view name, Listening earlier, Listening later,
                           bool overlaps = false) {
    Cell cell = with_listener(name, std::move(later));
    cell.earlier = std::move(earlier);
    cell.overlaps = overlaps;
    cells.push_back(std::move(cell));
  };
  follows("closed, and open again", {}, {});
  follows("another process takes its place (SO_REUSEPORT)", {.shares = true}, {.shares = true},
          true);
  follows("moves from the unspecified address to its own", {.anywhere = true}, {});
  follows("moves from its own address to the unspecified one", {}, {.anywhere = true});
  follows("moves to an IPv6 socket for both families", {}, {.mixed = true});
  follows("moves from an IPv6 socket for both families", {.mixed = true}, {.anywhere = true});
  follows("three with SO_REUSEPORT become one", {.several = 3}, {.shares = true}, true);
  follows("its queue has one place", {}, {.backlog = 0});
  for (Cell& cell : chosen_listeners())
    cells.push_back(std::move(cell));
  Cell nothing = with_listener("nothing listens", {.none = true});
  nothing.left = true;
  nothing.quick = true;
  cells.push_back(nothing);
  Cell multipath = with_listener("MPTCP", {.multipath = true});
  multipath.outcome = CellOutcome::degraded;
  multipath.remark = "the kernel's cookies answer with `tcp_syncookies = 2`, else the stack, "
                     "unprotected";
  multipath.named = "MPTCP";
  multipath.host = "sysctl -qw net.mptcp.enabled=1";
  cells.push_back(multipath);
  Cell near = with_listener(
      "IP_MINTTL and IPV6_MINHOPCOUNT 255",
      {.options = {{IPPROTO_IP, IP_MINTTL, 255}, {IPPROTO_IPV6, IPV6_MINHOPCOUNT, 255}}});
  near.outcome = CellOutcome::degraded;
  near.remark = "the stack answers, unprotected";
  near.named = "IP_MINTTL";
  near.shapes = {"Linux", "a client on the link"};
  cells.push_back(near);
  Cell is_signed = with_listener("TCP-MD5", {.is_signed = true});
  is_signed.outcome = CellOutcome::degraded;
  is_signed.remark = "the stack answers, unprotected";
  is_signed.named = "TCP-MD5";
  cells.push_back(is_signed);
  return cells;
}

constexpr std::string_view input_chain = "chain in { type filter hook input priority 0\n",
                           forward_chain = "chain on { type filter hook forward priority 0\n",
                           output_chain = "chain out { type filter hook output priority 0\n",
                           translating_chain =
                               "chain to { type nat hook prerouting priority -100\n",
                           marking_chain = "chain to { type filter hook prerouting priority -150\n";

std::string nft(std::string_view chain, std::string_view rules) {
  return fmt::format("nft 'table inet cell {{\n{}{}\n}}\n}}'", chain, rules);
}

// `rule` for both ports of both families: {0} is "ip" or "ip6", {1} the port, {2} the port that
// stands for it elsewhere, {3} the host's address.
std::string for_all_ports(std::string_view rule) {
  std::string rules;
  for (const std::string_view family : {"ip", "ip6"})
    for (const int port : {matrix_served_port, matrix_plain_port})
      rules += fmt::format(fmt::runtime(rule), family, port, port + elsewhere_offset,
                           family == "ip" ? addresses_of("trap").ipv4 : addresses_of("trap").ipv6) +
               "\n";
  return rules;
}

std::vector<Cell> translating_neighbours() {
  std::vector<Cell> cells;
  const auto add = [&](std::string_view name, std::string_view named, const std::string& rules,
                       Listening listening) {
    Cell cell = with_rules(name, "the stack answers, unprotected", named, rules);
    cell.listening = std::move(listening);
    cells.push_back(std::move(cell));
  };
  const std::string to_container =
      nft(translating_chain,
          fmt::format("ip daddr {} tcp dport {{ {}, {} }} dnat ip to {}\n"
                      "ip6 daddr {} tcp dport {{ {}, {} }} dnat ip6 to {}",
                      addresses_of("trap").ipv4, matrix_served_port, matrix_plain_port, pod_ipv4,
                      addresses_of("trap").ipv6, matrix_served_port, matrix_plain_port, pod_ipv6));
  const std::string to_other_port = nft(
      translating_chain, fmt::format("tcp dport {} redirect to :{}\ntcp dport {} redirect to :{}",
                                     matrix_served_port, matrix_served_port + elsewhere_offset,
                                     matrix_plain_port, matrix_plain_port + elsewhere_offset));
  const std::string to_proxy =
      nft(marking_chain,
          for_all_ports("{0} daddr {3} tcp dport {1} meta mark set 1 tproxy {0} to :{2} accept"));
  add("DNAT to a container, with a proxy on the host", "became connections", to_container,
      {.anywhere = true, .container = true, .proxy = true});
  add("DNAT to a container, without a proxy", "nobody listens", to_container,
      {.anywhere = true, .container = true});
  add("REDIRECT to another port", "nobody listens", to_other_port, {.elsewhere = true});
  add("REDIRECT to another port, with a listener at the port itself", "became connections",
      to_other_port, {.anywhere = true, .elsewhere = true, .proxy = true});
  add("TPROXY", "became connections", to_proxy,
      {.anywhere = true, .elsewhere = true, .transparent = true});
  add("TPROXY, with a listener at the port itself", "became connections", to_proxy,
      {.anywhere = true, .elsewhere = true, .transparent = true, .proxy = true});
  return cells;
}

// Another address of the host's stands for the service's.
Cell routed_container() {
  const HostAddresses& trap = addresses_of("trap");
  constexpr std::string_view other_ipv4 = "203.0.113.12", other_ipv6 = "2001:db8:113::12";
  const auto replace = [&](std::string_view ipv4, std::string_view ipv6, std::string_view by_ipv4,
                           std::string_view by_ipv6) {
    return fmt::format("ip address del {0}/{4} dev eth0\nip address add {2}/{4} dev eth0\n"
                       "ip address del {1}/64 dev eth0\nip address add {3}/64 dev eth0 nodad\n"
                       "ip route replace default via {5}\nip route replace ::/0 via {6}",
                       ipv4, ipv6, by_ipv4, by_ipv6, trap.ipv4_prefix, trap.ipv4_gateway,
                       trap.ipv6_gateway);
  };
  Cell cell = with_rules("the address is that of a container, to which the host routes",
                         "the stack answers, unprotected", "is not on this host",
                         replace(trap.ipv4, trap.ipv6, other_ipv4, other_ipv6));
  cell.host_undo = replace(other_ipv4, other_ipv6, trap.ipv4, trap.ipv6);
  cell.program = Neighbour::routed;
  cell.listening = {.anywhere = true, .container = true};
  return cell;
}

std::vector<Cell> neighbours() {
  std::vector<Cell> cells = {
      with_rules("connections are tracked", "", "", nft(input_chain, "ct state new")),
      with_rules("`ct state invalid drop`, `nf_conntrack_tcp_loose = 1`", "", "",
                 nft(input_chain, "ct state invalid drop")),
      with_rules("`ct state invalid drop`, `nf_conntrack_tcp_loose = 0`",
                 "the stack answers, unprotected", "became connections",
                 nft(input_chain, "ct state invalid drop") +
                     "\nsysctl -qw net.netfilter.nf_conntrack_tcp_loose=0"),
      with_rules("`tcp flags & (fin|syn|rst|ack) != syn ct state new drop`",
                 "the stack answers, unprotected", "became connections",
                 nft(input_chain, "tcp dport { 8080, 8081 } "
                                  "tcp flags & (fin|syn|rst|ack) != syn ct state new drop")),
      with_rules("MSS clamp in the forward chain", "", "",
                 nft(forward_chain, "tcp flags syn tcp option maxseg size set 1200")),
      with_rules("MSS clamp at the host's own output", "", "",
                 nft(output_chain, "tcp flags syn tcp option maxseg size set 1200")),
  };
  cells.insert(cells.begin() + 4,
               {with_rules("an ingress shaper (ifb)", "", "", "true"),
                with_rules("connections of the service are not tracked", "", "",
                           nft("chain raw { type filter hook prerouting priority -300\n",
                               "tcp dport { 8080, 8081 } notrack"))});
  cells[4].needs = "ip link add ifb9 type ifb && ip link del ifb9";
  cells[4].host = "ip link add ifb9 type ifb; ip link set ifb9 up\n"
                  "tc qdisc add dev eth0 handle ffff: ingress\n"
                  "tc filter add dev eth0 parent ffff: protocol all u32 match u32 0 0 "
                  "action mirred egress redirect dev ifb9\n"
                  "tc qdisc add dev ifb9 root tbf rate 500mbit burst 1mb latency 50ms";
  cells[4].host_undo = "tc qdisc del dev eth0 ingress; ip link del ifb9";
  cells[2].host_undo = "nft delete table inet cell\n"
                       "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1";
  cells.back().remark = "the window is one of segments of the clamped size";
  cells.back().differs = {"SYN-ACK: window"};
  for (Cell& cell : translating_neighbours())
    cells.push_back(std::move(cell));
  Cell accepting = {.axis = "neighbour",
                    .name = "a tcx program in front that accepts every packet (TCX_PASS)",
                    .outcome = CellOutcome::degraded,
                    .remark = "the kernel's cookies answer with `tcp_syncookies = 2`, else the "
                              "stack, unprotected",
                    .named = "reached TRAP's tc program"};
  accepting.needs = has_tcx;
  accepting.program = Neighbour::accepts;
  cells.push_back(accepting);
  cells.push_back(routed_container());
  Cell answering = accepting;
  answering.name = "a tcx program in front that leads packets to a container, which answers";
  answering.program = Neighbour::answers;
  answering.listening = {.anywhere = true, .container = true, .proxy = true};
  cells.push_back(answering);
  return cells;
}

std::vector<Cell> make_cells() {
  std::vector<Cell> all;
  for (auto cells : {clients(), settings(), routes(), listeners(), neighbours(), interface_cells()})
    for (Cell& cell : cells)
      all.push_back(std::move(cell));
  return all;
}

} // namespace

std::string_view text_of(CellOutcome outcome) {
  switch (outcome) {
  case CellOutcome::equal:
    return "equal";
  case CellOutcome::degraded:
    return "degraded and named";
  case CellOutcome::refused:
    return "refused at start";
  }
  return "";
}

std::span<const Cell> all_cells() {
  static const std::vector<Cell> cells = make_cells();
  return cells;
}

std::string label_of(const Cell& cell) {
  return fmt::format("{}: {}", cell.axis, cell.name);
}

} // namespace trap::lab
