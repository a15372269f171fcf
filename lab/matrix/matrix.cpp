// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/matrix.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <utility>

#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lab/hosts/listening.h"
#include "lab/hosts/plain_socket.h"
#include "lab/matrix/neighbours.h"
#include "lab/matrix/odd_frame.h"
#include "lab/matrix/odd_syn.h"
#include "lab/network/receive_path.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view client_ipv4 = "198.18.0.66", client_ipv6 = "2001:db8:feed::66";
constexpr MacAddress other_router = {0x02, 0, 0, 0, 4, 0x99};
constexpr seconds settling{4}, learning{20};
constexpr std::string_view round_trip = "stack: round trip, us";

using Listeners = std::vector<Fd>;

// A port of the TRAP host, for one family.
struct Port {
  int number = 0;
  Listeners listeners = {};
  Fd steering = {}; // the program that leads clients to them
};

struct Pair {
  Family family;
  Port served{matrix_served_port}, plain{matrix_plain_port};
};

Result<void> shell(const Host& host, std::string_view lines) {
  if (lines.empty())
    return {};
  auto done = run_checked(host.command({"sh", "-c", std::string{lines}}), seconds{10});
  if (!done)
    return done.error();
  return {};
}

Result<Fd> listen_as(const Host& host, std::string_view address, int port,
                     const Listening& listening) {
  socklen_t length = 0;
  const bool is_v4 = address.find('.') != std::string_view::npos;
  const bool is_mixed = listening.mixed && is_v4; // an IPv6 socket, which takes IPv4 clients too
  const std::string_view anywhere = is_v4 ? "0.0.0.0" : "::",
                         loopback = is_v4 ? "127.0.0.1" : "::1";
  const sockaddr_storage at = socket_address(is_mixed             ? "::"
                                             : listening.anywhere ? anywhere
                                             : listening.loopback ? loopback
                                                                  : address,
                                             port, length);
  const InHost inside{host};
  Fd fd{socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
               listening.multipath ? IPPROTO_MPTCP : 0)};
  const int on = 1;
  constexpr std::string_view interface = "eth0";
  bool good = fd && inside.entered();
  const auto set = [&](int level, int name, const void* value, std::size_t bytes) {
    good = good && setsockopt(fd.get(), level, name, value, static_cast<socklen_t>(bytes)) == 0;
  };
  set(SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (listening.transparent)
    set(is_v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, is_v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on,
        sizeof on);
  const int only = is_mixed ? 0 : 1;
  if (at.ss_family == AF_INET6)
    set(IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  if (listening.several > 1 || listening.mixed || listening.shares)
    set(SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (listening.bound)
    set(SOL_SOCKET, SO_BINDTODEVICE, interface.data(), interface.size());
  for (const SocketOption& option : listening.options)
    if (!(option.level == IPPROTO_IPV6 && is_v4) && !(option.level == IPPROTO_IP && !is_v4))
      set(option.level, option.name, &option.value, sizeof option.value);
  if (listening.is_signed) {
    tcp_md5sig signature{};
    socklen_t peer_length = 0;
    const auto peer = socket_address(is_v4 ? "192.0.2.2" : "2001:db8:2::2", 0, peer_length);
    std::copy_n(reinterpret_cast<const char*>(&peer), sizeof peer,
                reinterpret_cast<char*>(&signature.tcpm_addr));
    signature.tcpm_keylen = 1;
    signature.tcpm_key[0] = 'k';
    set(IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature);
  }
  if (listening.filtered) {
    sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
    const sock_fprog filter = {.len = 1, .filter = code};
    set(SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
  }
  if (!good || bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), length) != 0 ||
      listen(fd.get(), listening.backlog) != 0 ||
      (listening.shut && shutdown(fd.get(), SHUT_RD) != 0) ||
      (listening.again && listen(fd.get(), *listening.again) != 0))
    return Error{fmt::format("cannot listen at port {}: {}", port, error_text(errno))};
  return fd;
}

// By programs, if there are any.
Result<void> lead_clients(const Host& host, Family family, const Listening& listening, Port& port) {
  if (port.listeners.empty())
    return {};
  const auto chosen = port.listeners.size() - 1; // the least likely by itself
  if (auto done = choose_listener(port.listeners.front(), listening.chooser,
                                  static_cast<int>(chosen), port.listeners[chosen]);
      !done || !listening.steered)
    return done;
  auto steering = lead_to_listener(host, family == Family::ipv4 ? AF_INET : AF_INET6, port.number,
                                   port.listeners.front());
  if (!steering)
    return steering.error();
  port.steering = std::move(*steering);
  return {};
}

Result<void> listen_at_both(const Host& host, const Host* container, const Listening& listening,
                            Pair& pair) {
  const std::string_view address = addresses_of("trap").address(pair.family);
  for (Port* port : {&pair.served, &pair.plain}) {
    const auto listen = [&](const Host& where, int number, const Listening& how) -> Result<void> {
      auto made = listen_as(where, address, number, how);
      if (!made)
        return made.error();
      port->listeners.push_back(std::move(*made));
      return {};
    };
    for (int i = 0; i < listening.several && !listening.none; i++)
      if (auto done =
              listen(listening.container && container ? *container : host,
                     port->number + (listening.elsewhere ? elsewhere_offset : 0), listening);
          !done)
        return done;
    if (listening.proxy)
      if (auto done = listen(host, port->number, {}); !done)
        return done;
    if (auto done = lead_clients(host, pair.family, listening, *port); !done)
      return done;
  }
  return {};
}

bool is_same(std::string_view field, const std::string& one, const std::string& other) {
  if (field != round_trip || one == other)
    return one == other;
  const double a = std::atof(one.c_str()), b = std::atof(other.c_str());
  constexpr double slack_us = 8000; // ticks of a coarse clock, and a busy machine
  return a > 0 && b > 0 && std::abs(a - b) <= slack_us + 0.1 * b;
}

// Two conversations of the same client.
struct Comparison {
  Fields served, plain;
  bool by_trap = false; // TRAP answered the served one

  [[nodiscard]] std::set<std::string, std::less<>> differences() const {
    std::set<std::string, std::less<>> names;
    for (const auto& [one, other] : {std::pair{&served, &plain}, std::pair{&plain, &served}})
      for (const auto& [field, value] : *one) {
        const auto at = other->find(field);
        if (at == other->end() || !is_same(field, value, at->second))
          names.insert(field);
      }
    return names;
  }
  [[nodiscard]] std::string text(std::string_view field) const {
    const auto value = [&](const Fields& fields) {
      const auto at = fields.find(field);
      return at == fields.end() ? std::string{"nothing"} : at->second;
    };
    return fmt::format("{}: {}, {} without TRAP", field, value(served), value(plain));
  }
};

class Trial {
public:
  // Adds to `differed` the fields that differ as the cell says.
  Trial(Scene& scene, const Cell& cell, Pair& pair, std::set<std::string_view>& differed)
      : scene_(scene), cell_(cell), pair_(pair), differed_(differed) {}
  // Empty if the cell has the outcome that it promises.
  std::string play();
  std::string play_odd(const OddSyn& odd);

private:
  Comparison compare(const Wire& wire, const Shape& shape);
  Fields talk(const Wire& wire, const Shape& shape, const Port& port);
  std::string expect_equal(const Wire& wire, const Shape& shape);
  std::string expect_named(const Wire& wire, const Shape& shape);
  [[nodiscard]] bool is_named() const;
  [[nodiscard]] std::string problems() const;
  Scene& scene_;
  const Cell& cell_;
  Pair& pair_;
  std::set<std::string_view>& differed_;
};

Fields Trial::talk(const Wire& wire, const Shape& shape, const Port& port) {
  static std::uint16_t next_port = 20000; // never that of a connection in TIME_WAIT
  next_port = next_port >= 60000 ? 20000 : next_port + 1;
  const auto& trap = addresses_of("trap");
  const bool is_v4 = pair_.family == Family::ipv4;
  const auto parse = [](std::string_view text) { return *parse_address(std::string{text}); };
  const Endpoint client = {parse(is_v4 ? client_ipv4 : client_ipv6), next_port};
  const Endpoint server = {parse(trap.address(pair_.family)),
                           static_cast<std::uint16_t>(port.number)};
  Talk talk{
      &wire, &shape, client, server, {}, cell_.course, cell_.listening.chooser != Chooser::none};
  for (const Fd& each : port.listeners)
    talk.listeners.push_back(each.get());
  return converse(talk);
}

Comparison Trial::compare(const Wire& wire, const Shape& shape) {
  Comparison comparison;
  comparison.plain = talk(wire, shape, pair_.plain);
  const auto before = scene_.trap().server().counters();
  comparison.served = talk(wire, shape, pair_.served);
  const auto after = scene_.trap().server().counters();
  comparison.by_trap =
      before && after && count_of(*after, "reply-syn-ack") > count_of(*before, "reply-syn-ack");
  return comparison;
}

std::string Trial::expect_equal(const Wire& wire, const Shape& shape) {
  std::string why;
  const auto so = [&] {
    const Comparison comparison = compare(wire, shape);
    auto names = comparison.differences();
    for (const std::string_view field : cell_.differs)
      if (const auto at = names.find(field); at != names.end()) {
        differed_.insert(field);
        names.erase(at);
      }
    why = !names.empty() ? fmt::format("{}: {}", shape.name, comparison.text(*names.begin()))
          : comparison.by_trap == cell_.left
              ? fmt::format("{}: {} answered; its problems: {}", shape.name,
                            comparison.by_trap ? "TRAP has" : "TRAP has not", problems())
              : "";
    for (const std::string& name : names)
      if (name != *names.begin())
        why += "; " + comparison.text(name);
    return why.empty();
  };
  if (cell_.earlier) // right now; but a busy host may be late once
    (void)(so() || so());
  else
    becomes(so, settling);
  return why;
}

std::string Trial::problems() const {
  const auto status = scene_.trap().server().status();
  return status ? fmt::format("{}", fmt::join(status->problems, "; ")) : status.error().message;
}

bool Trial::is_named() const {
  const auto status = scene_.trap().server().status();
  return status && std::ranges::any_of(status->problems, [&](const std::string& problem) {
           return problem.find(cell_.named) != std::string::npos;
         });
}

// The client is served all the same.
std::string Trial::expect_named(const Wire& wire, const Shape& shape) {
  std::string why;
  const auto so = [&] {
    const Comparison comparison = compare(wire, shape);
    why = !is_named() ? fmt::format("no problem says \"{}\"", cell_.named) : "";
    for (const std::string_view field : {"request", "response"})
      if (why.empty() && comparison.differences().contains(field))
        why = fmt::format("{}: {}", shape.name, comparison.text(field));
    return why.empty();
  };
  becomes(so, learning);
  return why;
}

std::string Trial::play() {
  const HostAddresses& trap = addresses_of("trap");
  auto wire = Wire::open(scene_.host("router"),
                         {.source = cell_.other_next_hop ? other_router : trap.router_mac(),
                          .destination = cell_.other_mac ? cell_mac : trap.mac(),
                          .vlan = cell_.vlan,
                          .outer_vlan = cell_.outer_vlan,
                          .interface = cell_.wire.empty() ? "trap" : cell_.wire});
  if (!wire)
    return wire.error().message;
  for (const std::string_view name : cell_.shapes) {
    const Shape& shape = shape_of(name);
    const std::string why = cell_.outcome == CellOutcome::equal ? expect_equal(*wire, shape)
                                                                : expect_named(*wire, shape);
    if (!why.empty())
      return why;
  }
  return "";
}

std::string Trial::play_odd(const OddSyn& odd) {
  const HostAddresses& trap = addresses_of("trap");
  auto wire =
      Wire::open(scene_.host("router"), {.source = trap.router_mac(), .destination = trap.mac()});
  if (!wire)
    return wire.error().message;
  const auto expected = odd.differences(pair_.family);
  std::string why;
  const auto so = [&] {
    const Comparison comparison = compare(*wire, odd.shape());
    why = comparison.by_trap ? "" : "TRAP has not answered";
    for (const std::string& name : comparison.differences())
      if (!expected.contains(name))
        why += (why.empty() ? "" : "; ") + comparison.text(name);
    return why.empty();
  };
  becomes(so, settling);
  return why;
}

// Empty if both ports answer as the frame says.
std::string play_odd_frame(Scene& scene, const OddFrame& odd, Family family, OddFate fate) {
  const HostAddresses& trap = addresses_of("trap");
  const Ethernet ethernet = {.destination = trap.mac(), .source = trap.router_mac()};
  const auto wire = Wire::open(scene.host("router"),
                               {.source = ethernet.source, .destination = ethernet.destination});
  if (!wire)
    return wire.error().message;
  const auto ask = [&](int at) {
    static std::uint16_t next_port = 20000;
    next_port = next_port >= 30000 ? 20000 : next_port + 1;
    const auto parse = [](std::string_view text) { return *parse_address(std::string{text}); };
    return answer_to(*wire, odd, ethernet,
                     {parse(family == Family::ipv4 ? client_ipv4 : client_ipv6), next_port},
                     {parse(trap.address(family)), static_cast<std::uint16_t>(at)});
  };
  std::string why;
  const auto so = [&] {
    const Comparison comparison = {ask(matrix_served_port), ask(matrix_plain_port)};
    const bool served = comparison.served.at("answer") != "silence";
    const bool plain = comparison.plain.at("answer") != "silence";
    why = "";
    if (fate != OddFate::equal) {
      if (served != (fate == OddFate::answered) || plain == served)
        why = comparison.text("answer");
      return why.empty();
    }
    auto names = comparison.differences();
    for (const std::string_view field : odd.differs)
      if (names.erase(std::string{field}) == 0)
        why += fmt::format("{} is the same; ", field);
    for (const std::string& name : names)
      why += comparison.text(name) + "; ";
    return why.empty();
  };
  becomes(so, settling);
  return why;
}

void replace(std::string& text, std::string_view what, const std::string& with) {
  text.replace(text.find(what), what.size(), with);
}

Result<void> start_server(Scene& scene, const Cell& cell) {
  std::string text = server_text(scene.trap().plan());
  if (!cell.xdp_mode.empty())
    replace(text, "xdp_mode = \"native\"", fmt::format("xdp_mode = \"{}\"", cell.xdp_mode));
  if (cell.at_tc)
    text.insert(0, "attach = \"tc\"\n");
  if (cell.at_peace)
    replace(text, "activate = \"always\"", "activate = \"attack\"");
  Daemon& server = scene.trap().server();
  if (auto done = server.configure(text, cell.interfaces.empty() ? "\"eth0\""
                                                                 : std::string{cell.interfaces});
      !done)
    return done;
  return server.start();
}

void try_refusal(Scene& scene, const Cell& cell) {
  const auto started = start_server(scene, cell);
  scene.check(!started && started.error().message.find(cell.named) != std::string::npos,
              label_of(cell) + ": " + std::string{text_of(cell.outcome)},
              started ? "it starts" : started.error().message);
}

void try_both_families(Scene& scene, const Cell& cell, std::vector<Pair>& pairs) {
  std::set<std::string_view> differed;
  for (Pair& pair : pairs) {
    const std::string why = Trial(scene, cell, pair, differed).play();
    scene.check(
        why.empty(),
        fmt::format("{}, {}: {}", label_of(cell), name_of(pair.family), text_of(cell.outcome)),
        why);
  }
  for (const std::string_view field : cell.differs)
    if (!differed.contains(field))
      scene.check(false, label_of(cell), fmt::format("{} is the same as without TRAP", field));
}

// In place of others, which go before or, with SO_REUSEPORT, behind them.
Result<void> listen_at_all(Scene& scene, const Listening& listening, std::vector<Pair>& pairs,
                           const Neighbours& neighbours, bool overlaps = false) {
  Listeners others;
  for (Pair& pair : pairs) // all first: a listener may be for both families
    for (Port* port : {&pair.served, &pair.plain}) {
      port->steering.reset();
      for (Fd& each : std::exchange(port->listeners, {}))
        if (overlaps)
          others.push_back(std::move(each));
    }
  for (Pair& pair : pairs)
    if (auto done = listen_at_both(scene.host("trap"), neighbours.container(), listening, pair);
        !done)
      return done;
  return {};
}

// Once a millisecond, as a card that coalesces its interrupts: what a client sends at once comes in
// one poll.
Result<void> poll_by_thread(const Host& host, bool wanted) {
  constexpr int off = 0, on = 1, nanoseconds = 1'000'000, polls = 1'000'000;
  if (wanted)
    if (auto done = receive_on_cpu(host, "eth0", 0, 0); !done)
      return done;
  return shell(host, fmt::format("unshare --mount sh -ec 'mount -t sysfs sysfs /sys\n"
                                 "cd /sys/class/net/eth0\necho {} >threaded\n"
                                 "echo {} >gro_flush_timeout\necho {} >napi_defer_hard_irqs'\n"
                                 "ethtool -K eth0 gro {}",
                                 wanted ? on : off, wanted ? nanoseconds : 0, wanted ? polls : 0,
                                 wanted ? "on" : "off"));
}

// Until TRAP knows the earlier listener.
Result<void> follow(Scene& scene, const Cell& cell, std::vector<Pair>& pairs,
                    const Neighbours& neighbours) {
  if (auto done = listen_at_all(scene, *cell.earlier, pairs, neighbours); !done)
    return done;
  Cell before = {.left = cell.earlier->none, .listening = *cell.earlier};
  std::set<std::string_view> differed;
  for (Pair& pair : pairs)
    if (const std::string why = Trial(scene, before, pair, differed).play(); !why.empty())
      return Error{"before: " + why};
  return {};
}

Result<void> set_up(Scene& scene, const Cell& cell, std::vector<Pair>& pairs,
                    Neighbours& neighbours) {
  if (cell.restarts())
    if (auto done = scene.trap().server().detach(); !done)
      return done;
  if (cell.peer_is_bare)
    if (auto done = scene.trap().topology().detach_pass_program("trap"); !done)
      return done;
  if (auto done = shell(scene.host("router"), cell.router); !done)
    return done;
  if (auto done = shell(scene.host("trap"), cell.host); !done)
    return done;
  if (cell.threaded)
    if (auto done = poll_by_thread(scene.host("trap"), true); !done)
      return done;
  if (auto done = neighbours.arrive(cell); !done)
    return done;
  if (cell.earlier)
    if (auto done = follow(scene, cell, pairs, neighbours); !done)
      return done;
  if (cell.earlier || !cell.listening.is_usual())
    if (auto done = listen_at_all(scene, cell.listening, pairs, neighbours, cell.overlaps); !done)
      return done;
  if (cell.outcome == CellOutcome::refused)
    return {};
  if (cell.restarts())
    return start_server(scene, cell);
  return cell.axis == "neighbour" ? scene.trap().server().reload() // has TRAP test the way
                                  : Result<void>{};
}

Result<void> clear_away(Scene& scene, const Cell& cell, std::vector<Pair>& pairs,
                        Neighbours& neighbours) {
  if (cell.outcome == CellOutcome::refused)
    scene.trap().server().kill(); // forgets the one that ended by itself
  if (cell.restarts())
    if (auto done = scene.trap().server().detach(); !done)
      return done;
  if (auto done = neighbours.leave(); !done)
    return done;
  if (auto done = shell(scene.host("trap"), cell.host_undo); !done)
    return done;
  if (cell.earlier || !cell.listening.is_usual())
    if (auto done = listen_at_all(scene, {}, pairs, neighbours); !done)
      return done;
  if (cell.threaded)
    if (auto done = poll_by_thread(scene.host("trap"), false); !done)
      return done;
  if (auto done = shell(scene.host("router"), cell.router_undo); !done)
    return done;
  if (cell.peer_is_bare)
    if (auto done = scene.trap().topology().attach_pass_program("trap"); !done)
      return done;
  if (cell.restarts())
    return start_server(scene, {});
  return cell.axis == "neighbour" ? scene.trap().server().reload() : Result<void>{};
}

// "name=value" lines of all the settings that a cell turns, in order.
std::vector<std::string> turns_of(Scene& scene, const Cell& cell) {
  std::vector<std::string> turns = cell.turns;
  if (!cell.every_switch)
    return turns;
  // Some would take the lab's own addresses, routes or answers away, or have a cell of their own.
  constexpr std::string_view list =
      "cd /proc/sys && for f in net/ipv4/* net/ipv4/conf/all/* net/ipv4/conf/eth0/* net/ipv6/* "
      "net/ipv6/conf/all/* net/ipv6/conf/eth0/* net/netfilter/*; do "
      "case $f in */disable_ipv6|*/arp_ignore|*/tcp_timestamps|*/tcp_sack|*/tcp_syncookies|"
      "*/tcp_window_scaling|*/tcp_ecn|*/tcp_reflect_tos|*/rp_filter|*/ip_no_pmtu_disc|"
      "*/tcp_workaround_signed_windows|*/nf_hooks_lwtunnel) continue;; "
      "esac; test -f $f -a -w $f || continue; value=$(cat $f 2>/dev/null) || continue; "
      "case $value in 0) echo $f=1;; 1) echo $f=0;; esac; done";
  Command command = scene.host("trap").command({"sh", "-c", std::string{list}});
  if (const auto done = run_checked(command, seconds{10})) {
    std::istringstream lines{*done};
    for (std::string line; std::getline(lines, line);)
      turns.push_back(line);
  }
  return turns;
}

// One check for each family of one turn; the setting is as before then.
void try_turn(Scene& scene, const Cell& cell, const std::string& turn, std::vector<Pair>& pairs) {
  const Host& host = scene.host("trap");
  const std::string name = turn.substr(0, turn.find('=')), value = turn.substr(name.size() + 1);
  auto former = run_checked(host.command({"sysctl", "-n", name}), seconds{5});
  if (!former || !run_checked(host.command({"sysctl", "-qw", turn}), seconds{5})) {
    scene.note(fmt::format("{}: {}: this kernel does not take it", label_of(cell), turn));
    return;
  }
  Cell turned = cell;
  const std::string label = fmt::format("{}: {}", cell.name, turn);
  turned.name = label;
  try_both_families(scene, turned, pairs);
  scene.done(
      shell(host, fmt::format("sysctl -qw '{}={}'", name, former->substr(0, former->find('\n')))),
      label_of(turned) + ": as before");
}

void try_cell(Scene& scene, const Cell& cell, std::vector<Pair>& pairs, Neighbours& neighbours) {
  if (!cell.needs.empty() && !shell(scene.host("trap"), cell.needs)) {
    scene.note(label_of(cell) + ": this kernel has no such thing");
    return;
  }
  if (const auto ready = set_up(scene, cell, pairs, neighbours); !ready)
    scene.done(ready, label_of(cell) + ": all is ready");
  if (cell.outcome == CellOutcome::refused)
    try_refusal(scene, cell);
  else if (!cell.turns.empty() || cell.every_switch)
    for (const std::string& turn : turns_of(scene, cell))
      try_turn(scene, cell, turn, pairs);
  else
    try_both_families(scene, cell, pairs);
  if (const auto done = clear_away(scene, cell, pairs, neighbours); !done)
    scene.done(done, label_of(cell) + ": all is as before");
}

} // namespace

std::string matrix_service() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"matrix\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     endpoint(trap.ipv4, matrix_served_port),
                     endpoint(trap.ipv6, matrix_served_port));
}

void try_odd_syns(Scene& scene, std::uint32_t first, std::uint32_t count) {
  std::vector<Pair> pairs;
  for (const Family family : families)
    pairs.push_back({family});
  const Neighbours neighbours{scene.host("trap")};
  if (!scene.done(listen_at_all(scene, {}, pairs, neighbours), "there are listeners"))
    return;
  const Cell cell = {};
  std::set<std::string_view> differed;
  for (Pair& pair : pairs) {
    Trial trial{scene, cell, pair, differed};
    for (std::uint32_t number = first; number < first + count; number++) {
      const OddSyn odd{number};
      if (odd.is_out_of_place())
        continue;
      const std::string why = trial.play_odd(odd);
      scene.check(why.empty(), fmt::format("{}, {}", odd.name(), name_of(pair.family)), why);
    }
  }
}

void try_odd_frames(Scene& scene) {
  std::vector<Pair> pairs;
  for (const Family family : families)
    pairs.push_back({family});
  const Neighbours neighbours{scene.host("trap")};
  if (!scene.done(listen_at_all(scene, {}, pairs, neighbours), "there are listeners"))
    return;
  const Cell hooks[] = {{.name = "native"},
                        {.name = "generic", .xdp_mode = "generic"},
                        {.name = "at tc", .at_tc = true}};
  for (const Cell& hook : hooks) {
    if (hook.restarts() && (!scene.done(scene.trap().server().detach(), "the server goes") ||
                            !scene.done(start_server(scene, hook), label_of(hook) + ": it starts")))
      return;
    for (const Pair& pair : pairs)
      for (const OddFrame& odd : odd_frames(pair.family)) {
        const std::string why = play_odd_frame(
            scene, odd, pair.family, hook.at_tc ? odd.fate_at_tc.value_or(odd.fate) : odd.fate);
        scene.check(why.empty(),
                    fmt::format("{}, {}, {}", hook.name, name_of(pair.family), odd.name), why);
      }
  }
}

void try_cells(Scene& scene, const std::function<bool(const Cell&)>& chosen) {
  std::vector<Pair> pairs;
  for (const Family family : families)
    pairs.push_back({family});
  Neighbours neighbours{scene.host("trap")};
  if (!scene.done(listen_at_all(scene, {}, pairs, neighbours), "there are listeners"))
    return;
  for (const Cell& cell : all_cells())
    if (chosen(cell))
      try_cell(scene, cell, pairs, neighbours);
}

} // namespace trap::lab
