// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/cells.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace trap::lab {
namespace {

constexpr std::string_view no_rules = "nft delete table inet cell";

// Rules that take something from TRAP, and in what way its clients are answered then.
Cell with_rules(std::string_view name, std::string_view remark, std::string_view named,
                std::string_view rules) {
  return {.axis = "neighbour",
          .name = name,
          .outcome = named.empty() ? CellOutcome::equal : CellOutcome::degraded,
          .remark = remark,
          .named = named,
          .host = rules,
          .host_undo = no_rules};
}

Cell with_setting(std::string_view name, std::string_view host, std::string_view undo,
                  bool quick = false) {
  return {.axis = "setting", .name = name, .host = host, .host_undo = undo, .quick = quick};
}

Cell with_routes(std::string_view name, std::string_view host, bool quick = false) {
  return {.axis = "route",
          .name = name,
          .host = host,
          .host_undo = "ip route flush 198.18.0.0/15; ip -6 route flush 2001:db8:feed::/48\n"
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
    cell->remark = "clients are told what the default route asks for";
    cell->differs = {"SYN-ACK: MSS", "SYN-ACK: options", "SYN-ACK: window"};
  }
  Cell bbr = with_routes("default route with `congctl bbr`",
                         "ip route replace default via 203.0.113.1 congctl bbr\n"
                         "ip route replace ::/0 via 2001:db8:113::1 congctl bbr");
  bbr.needs = "grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control";
  cells.push_back(bbr);
  Cell elsewhere = with_routes("SYNs come from another router than answers go to", "true");
  elsewhere.other_next_hop = true;
  elsewhere.remark = "the SYN-ACK goes to the router that the SYN came from";
  elsewhere.differs = {"SYN-ACK: next hop"};
  cells.push_back(elsewhere);
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
  };
  Cell defers =
      with_listener("TCP_DEFER_ACCEPT", {.options = {{IPPROTO_TCP, TCP_DEFER_ACCEPT, 5}}});
  defers.remark = "the server gets the connection before the first data";
  defers.differs = {"accepted before data", "stack: round trip, us"};
  cells.push_back(defers);
  cells.front().remark = "by IPv6 the stack sends up to 1220 bytes at once";
  cells.front().differs = {"stack: largest segment"};
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
  Cell is_signed = with_listener("TCP-MD5", {.is_signed = true});
  is_signed.outcome = CellOutcome::degraded;
  is_signed.remark = "the stack answers, unprotected";
  is_signed.named = "TCP-MD5";
  cells.push_back(is_signed);
  return cells;
}

std::vector<Cell> neighbours() {
  std::vector<Cell> cells = {
      with_rules("connections are tracked", "", "",
                 "nft 'table inet cell {\n"
                 "chain in { type filter hook input priority 0\nct state new\n}\n}'"),
      with_rules("`ct state invalid drop`, `nf_conntrack_tcp_loose = 1`", "", "",
                 "nft 'table inet cell {\n"
                 "chain in { type filter hook input priority 0\nct state invalid drop\n}\n}'"),
      with_rules("`tcp flags & (fin|syn|rst|ack) != syn ct state new drop`",
                 "the stack answers, unprotected", "became connections",
                 "nft 'table inet cell {\n"
                 "chain in { type filter hook input priority 0\ntcp dport { 8080, 8081 } "
                 "tcp flags & (fin|syn|rst|ack) != syn ct state new drop\n}\n}'"),
      with_rules("MSS clamp at the host's own output", "", "",
                 "nft 'table inet cell {\n"
                 "chain out { type filter hook output priority 0\n"
                 "tcp flags syn tcp option maxseg size set 1200\n}\n}'"),
  };
  cells.back().remark = "the window is one of segments of the clamped size";
  cells.back().differs = {"SYN-ACK: window"};
  return cells;
}

std::vector<Cell> interfaces() {
  std::vector<Cell> cells;
  const auto add = [&](Cell cell) {
    cell.axis = "interface";
    cells.push_back(std::move(cell));
  };
  add({.name = "veth, native mode"});
  add({.name = "veth, `xdp_mode = \"generic\"`", .xdp_mode = "generic"});
  add({.name = "a tunnel without a link layer (tun)",
       .outcome = CellOutcome::refused,
       .remark = "so are PPP, WireGuard and IPIP",
       .named = "have no Ethernet header",
       .needs = "ip tuntap add mode tun name tun9 && ip link del tun9",
       .host = "ip tuntap add mode tun name tun9; ip link set tun9 up",
       .host_undo = "ip link del tun9",
       .interfaces = "\"tun9\""});
  return cells;
}

std::vector<Cell> make_cells() {
  std::vector<Cell> all;
  for (auto cells : {clients(), settings(), routes(), listeners(), neighbours(), interfaces()})
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

} // namespace trap::lab
