// SPDX-License-Identifier: Apache-2.0
#include "bench/comparison/responders.h"

#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/deployment/plain_defences.h"
#include "lab/hosts/cpus.h"
#include "runtime/attach/tc_filter.h"
#include "runtime/kernel/program.h"
#include "tests/bpf/harness/object.h"
#include "trap_floors.skel.h"

namespace trap::bench {
namespace {

constexpr std::chrono::milliseconds command_deadline{10000};
constexpr std::string_view web =
    "[[service]]\nname = \"web\"\naddresses = [\"203.0.113.10:80\", \"[2001:db8:113::10]:80\"]\n";

// A peer needs a program, too: a veth takes the generator's frames only if its end receives through
// NAPI, and an XDP program switches that on.
Result<Held> attach_floor(const ResponderHost& on, const std::string& program) {
  auto loaded = Program<trap_floors>::load();
  if (!loaded)
    return Error{loaded.error().message + ": " + test::last_libbpf_warning()};
  auto held = std::make_shared<Program<trap_floors>>(std::move(*loaded));
  const int fd = bpf_program__fd(bpf_object__find_program_by_name(held->object(), program.c_str()));
  const lab::InHost inside{on.host};
  if (!inside.entered() ||
      bpf_xdp_attach(static_cast<int>(if_nametoindex("eth0")), fd, 0, nullptr) != 0)
    return Error{"cannot attach " + program + ": " + error_text(errno)};
  return Held{held};
}

Result<Equipment> floor(const ResponderHost& on, const std::string& program) {
  auto attached = attach_floor(on, program);
  if (!attached)
    return attached.error();
  return Equipment{std::move(*attached), nullptr};
}

// The same at tc. The veth receives through NAPI, as for the stack.
Result<Equipment> send_back_at_tc(const ResponderHost& on) {
  auto receives = attach_floor(on, "empty_xdp");
  if (!receives)
    return receives.error();
  auto loaded = Program<trap_floors>::load();
  if (!loaded)
    return Error{loaded.error().message + ": " + test::last_libbpf_warning()};
  auto held = std::make_shared<Program<trap_floors>>(std::move(*loaded));
  const lab::InHost inside{on.host};
  if (!inside.entered())
    return Error{"cannot enter " + on.host.name()};
  Undo undo;
  if (auto attached =
          attach_filter("eth0", if_nametoindex("eth0"), {Direction::ingress, "send_back_tc"},
                        bpf_program__fd((*held)->progs.send_back_tc), {}, undo);
      !attached)
    return attached.error();
  undo.keep_everything();
  using Both = std::pair<Held, Held>;
  return Equipment{std::make_shared<Both>(std::move(*receives), held), nullptr};
}

// A host whose stack receives, with a listener, and the default setting of SYN cookies.
Result<Equipment> equip_stack(const ResponderHost& on) {
  auto program = attach_floor(on, "empty_xdp");
  if (!program)
    return program.error();
  auto listener = listen_in(on.host);
  if (!listener)
    return listener.error();
  using Both = std::pair<Held, Held>;
  return Equipment{std::make_shared<Both>(std::move(*program), std::move(*listener)), nullptr};
}

Result<Equipment> kernel_cookies(const ResponderHost& on) {
  if (auto set = on.host.set("ipv4/tcp_syncookies", "2"); !set)
    return set.error();
  return equip_stack(on);
}

Result<void> run(const lab::Command& command) {
  if (auto done = lab::run_checked(command, command_deadline); !done)
    return done.error();
  return {};
}

// Behind SYNPROXY, an ACK without a known connection must not open one.
Result<Equipment> equip_stack_behind_synproxy(const ResponderHost& on) {
  if (auto set = on.host.set("netfilter/nf_conntrack_tcp_loose", "0"); !set)
    return set.error();
  return equip_stack(on);
}

Result<Equipment> nft_synproxy(const ResponderHost& on) {
  lab::Command command = on.host.command({"nft", "-f", "-"});
  command.input = lab::nft_synproxy_rules();
  if (auto loaded = run(command); !loaded)
    return loaded.error();
  return equip_stack_behind_synproxy(on);
}

Result<Equipment> iptables_synproxy(const ResponderHost& on) {
  using Words = std::vector<std::string>;
  for (const std::string program : {"iptables-legacy", "ip6tables-legacy"}) {
    for (const Words& words :
         {Words{program, "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "80", "--syn",
                "-j", "CT", "--notrack"},
          Words{program, "-A", "INPUT", "-p", "tcp", "--dport", "80", "-m", "conntrack",
                "--ctstate", "INVALID,UNTRACKED", "-j", "SYNPROXY", "--sack-perm", "--timestamp",
                "--wscale", "7", "--mss", "1460"},
          Words{program, "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"}})
      if (auto added = run(on.host.command(words)); !added)
        return added.error();
  }
  return equip_stack_behind_synproxy(on);
}

Result<void> run_trapctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), (lab::program_directory() / "trapctl").string());
  return run(lab::Command{std::move(arguments)});
}

// The file of the key.
Result<std::string> make_master_key(const lab::Host& host) {
  std::string file = (host.directory() / "master.key").string();
  if (auto made = run_trapctl({"key", "generate", file}); !made)
    return made.error();
  return file;
}

Result<std::shared_ptr<lab::Daemon>> start(lab::DaemonKind kind, const lab::Host& host,
                                           const std::string& configuration) {
  auto prepared = lab::Daemon::prepare(kind, host, configuration);
  if (!prepared)
    return prepared.error();
  auto daemon = std::make_shared<lab::Daemon>(std::move(*prepared));
  // Packets that the daemon sends by itself must not wake the veths on another CPU, which would
  // then poll them in parallel, unaccounted and with full rings.
  const auto pinned = lab::Pinned::to(lab::last_cpu());
  if (!pinned)
    return pinned.error();
  if (auto started = daemon->start(); !started)
    return started.error();
  return daemon;
}

Result<Equipment> trap_reset(const ResponderHost& on) {
  // The sink would take announcements for answers.
  const auto daemon = start_trap_server(on.host, "announce_rate = 0\n" + reset_service());
  if (!daemon)
    return daemon.error();
  return Equipment{*daemon, *daemon};
}

// `hook`: the keys of the configuration that say where it attaches.
Result<Equipment> serve_at(const ResponderHost& on, std::string_view hook) {
  for (const char* sysctl : {"ipv4/tcp_syncookies", "ipv4/tcp_timestamps"})
    if (auto set = on.host.set(sysctl, "2"); !set)
      return set.error();
  const auto listener = listen_in(on.host);
  if (!listener)
    return listener.error();
  const auto daemon = start_trap_server(on.host, served_service(), hook);
  if (!daemon)
    return daemon.error();
  using Both = std::pair<Held, Held>;
  return Equipment{std::make_shared<Both>(*listener, *daemon), *daemon};
}

Result<Equipment> trap_serve(const ResponderHost& on) {
  return serve_at(on, at_native_xdp);
}

Result<Equipment> trap_serve_at_tc(const ResponderHost& on) {
  auto receives = attach_floor(on, "empty_xdp");
  if (!receives)
    return receives.error();
  auto equipment = serve_at(on, "attach = \"tc\"\n");
  if (!equipment)
    return equipment;
  using Both = std::pair<Held, Held>;
  equipment->held = std::make_shared<Both>(std::move(*receives), std::move(equipment->held));
  return equipment;
}

Result<Equipment> trap_guard(const ResponderHost& on) {
  const auto daemon = start_trap_guard(on.host);
  if (!daemon)
    return daemon.error();
  return Equipment{*daemon, *daemon};
}

} // namespace

// nft_synproxy_do_eval calls nf_ip_checksum for IPv6 too, and drops segments that no device has
// marked as checked.
std::string_view nft_synproxy_why_not_ipv6() {
  return "the kernel's nft_synproxy checks IPv6 segments by IPv4's pseudo-header unless a device "
         "has checked them, which a veth does not";
}

Result<Held> listen_in(const lab::Host& host) {
  const lab::InHost inside{host};
  Fd socket{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int off = 0;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(80);
  if (!inside.entered() ||
      setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(socket.get(), 1024) != 0)
    return Error{"no listener in " + host.name() + ": " + error_text(errno)};
  return Held{std::make_shared<Fd>(std::move(socket))};
}

Result<std::shared_ptr<lab::Daemon>>
start_trap_server(const lab::Host& host, const std::string& services, std::string_view hook) {
  const auto key = make_master_key(host);
  if (!key)
    return key.error();
  return start(lab::DaemonKind::server, host,
               fmt::format("{}master_key_file = \"{}\"\n{}", hook, *key, services));
}

Result<std::shared_ptr<lab::Daemon>> start_trap_guard(const lab::Host& host) {
  const auto master = make_master_key(host);
  if (!master)
    return master.error();
  const std::string key = (host.directory() / "guard.key").string();
  if (auto derived = run_trapctl({"key", "derive", "web-1", "--master", *master, "--output", key});
      !derived)
    return derived.error();
  return start(lab::DaemonKind::guard, host,
               fmt::format("xdp_mode = \"native\"\nsecret_file = \"{}\"\ntrap_servers = "
                           "[\"203.0.113.10\", \"2001:db8:113::10\"]\n"
                           "[[service]]\nname = \"web\"\nport = 80\n",
                           key));
}

std::string reset_service() {
  std::string text = std::string{web} + "unaware = \"reset\"\n";
  for (const std::string_view backend : {"198.51.100.20:80", "[2001:db8:51::20]:80"})
    text += fmt::format("[[service.backend]]\naddress = \"{}\"\nguard = \"web-1\"\n", backend);
  return text;
}

std::string served_service() {
  return std::string{web} + "unaware = \"serve\"\nactivate = \"always\"\n";
}

std::vector<Responder> responders() {
  using enum FloodKind;
  const ExpectedAnswer silence{TRAP_FLOOD_OTHER}, syn_ack{TRAP_FLOOD_SYN_ACK}, rst{TRAP_FLOOD_RST},
      own_syn{TRAP_FLOOD_SYN}, own_ack{TRAP_FLOOD_ACK};
  const auto counted = [](const ExpectedAnswer& expected, const char* verdict) {
    return ExpectedAnswer{expected.answer, verdict};
  };
  const std::map<FloodKind, ExpectedAnswer> syns_and_acks = {
      {syn, counted(syn_ack, "reply-syn-ack")}, {ack_invalid, counted(silence, "drop-bad-cookie")}};
  std::map<FloodKind, ExpectedAnswer> redirects = syns_and_acks;
  redirects[ack_valid] = counted(rst, "reply-redirect");
  const auto at = [](const char* program) {
    return [program](const ResponderHost& on) { return floor(on, program); };
  };
  return {
      {"xdp-drop",
       Role::floor,
       {{syn, silence},
        {ack_invalid, silence},
        {syn_uninvited, silence},
        {ack_valid, silence},
        {syn_ticketed, silence}},
       at("drop_xdp")},
      {"xdp-tx",
       Role::floor,
       {{syn, own_syn}, {ack_invalid, own_ack}, {ack_valid, own_ack}},
       at("send_back_xdp")},
      {"tc-tx", Role::floor, {{syn, own_syn}}, send_back_at_tc},
      {"xdp-pass", Role::floor, {{syn_ticketed, silence}}, at("empty_xdp")},
      {"trap-reset", Role::trap, redirects, trap_reset},
      {"trap-serve", Role::trap, syns_and_acks, trap_serve},
      {"trap-serve-tc", Role::trap, syns_and_acks, trap_serve_at_tc},
      {"trap-guard",
       Role::trap,
       {{syn_uninvited, counted(silence, "drop-uninvited")},
        {syn_ticketed, counted(silence, "pass-ticket")}},
       trap_guard},
      {"kernel-cookies", Role::peer, {{syn, syn_ack}, {ack_invalid, rst}}, kernel_cookies},
      {"nft-synproxy",
       Role::peer,
       {{syn, syn_ack}, {ack_invalid, silence}},
       nft_synproxy,
       std::string{nft_synproxy_why_not_ipv6()}},
      {"iptables-synproxy",
       Role::peer,
       {{syn, syn_ack}, {ack_invalid, silence}},
       iptables_synproxy},
  };
}

} // namespace trap::bench
