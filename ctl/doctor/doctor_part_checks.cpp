// SPDX-License-Identifier: Apache-2.0
// trapctl doctor: one part, from its configuration to its daemon.
#include <algorithm>

#include <fmt/core.h>

#include "ctl/doctor/doctor_checks.h"
#include "runtime/version.h"

namespace trap::ctl {
namespace {

constexpr unsigned mtu_of_one_page = 3498; // a page less headroom, shared info and link layer:
                                           // larger frames need a driver with fragments
constexpr std::uint64_t key_old_days = 400;
constexpr std::size_t epochs_few = 2; // ahead: two and a half hours
constexpr int strict_filter = 1;

bool is_xdp(const PartFacts& part) {
  return part.part != "client";
}

// A server with attach = "tc" does not.
bool runs_at_xdp(const PartFacts& part) {
  return is_xdp(part) && !part.xdp_mode.empty();
}

Findings config(const PartFacts& part) {
  if (part.config_problem.empty())
    return {ok(part.config_path)};
  return {{Grade::fail, part.config_problem,
           fmt::format("correct it, then run trap-{} --check-config", part.part)}};
}

Findings key_file(const PartFacts& part) {
  const KeyFileFacts& key = part.key_file;
  if (key.path.empty())
    return {};
  const std::string make =
      part.part == "server"
          ? "make it with trapctl key generate, or copy it from another TRAP server"
          : "make it with trapctl key derive on a TRAP server";
  if (!key.exists)
    return {{Grade::fail, fmt::format("{} is not there", key.path), make}};
  if (key.mode & 077)
    return {{Grade::fail, fmt::format("{} has mode {:04o}: others can use it", key.path, key.mode),
             fmt::format("chmod 600 {}", key.path)}};
  if (key.age_days > key_old_days)
    return {{Grade::warn, fmt::format("{} is {} days old", key.path, key.age_days),
             "make new keys for all TRAP servers and guards, at one time"}};
  return {ok(fmt::format("{}, {} days old", key.path, key.age_days))};
}

Findings daemon(const PartFacts& part) {
  const DaemonFacts& daemon = part.daemon;
  if (!daemon.error.empty())
    return {{Grade::fail, daemon.error, "run trapctl doctor as root, on the host of the daemon"}};
  if (!daemon.deaf.empty())
    return {{Grade::fail, daemon.deaf, daemon.deaf_cure}};
  if (!daemon.runs)
    return {
        {Grade::fail,
         fmt::format(
             "trap-{} does not run: programs that it left attached go on for seven hours at most",
             part.part),
         fmt::format("systemctl start trap-{}", part.part)}};
  Findings findings;
  for (const std::string& problem : daemon.problems)
    findings.push_back({Grade::fail, problem, fmt::format("see trapctl status {}", part.part)});
  if (daemon.version != program_version)
    findings.push_back(
        {Grade::warn,
         fmt::format("trap-{} is of version {}, trapctl of {}", part.part, daemon.version,
                     program_version),
         fmt::format("systemctl restart trap-{}, which loses no packet", part.part)});
  return findings.empty() ? Findings{ok(fmt::format("trap-{} {} runs", part.part, daemon.version))}
                          : findings;
}

Findings keys(const PartFacts& part) {
  const DaemonFacts& daemon = part.daemon;
  if (!daemon.runs || daemon.epoch == 0)
    return {};
  const auto& held = daemon.epochs_held;
  const auto ahead = static_cast<std::size_t>(std::count_if(
      held.begin(), held.end(), [&](std::uint64_t epoch) { return epoch > daemon.epoch; }));
  const std::string mend = fmt::format("read the log of trap-{}, and restart it", part.part);
  if (std::find(held.begin(), held.end(), daemon.epoch) == held.end())
    return {
        {Grade::fail, fmt::format("there is no key of the present epoch, {}", daemon.epoch), mend}};
  if (ahead < epochs_few)
    return {{Grade::warn, fmt::format("keys are left for {} epochs of 73 minutes", ahead), mend}};
  return {ok(fmt::format("keys of the present epoch, and of {} to come", ahead))};
}

Findings interfaces(const PartFacts& part) {
  Findings findings;
  for (const InterfaceFacts& interface : part.interfaces) {
    if (!interface.exists)
      findings.push_back(
          {part.part == "client" ? Grade::warn : Grade::fail,
           fmt::format("{} is not there", interface.name),
           fmt::format("correct \"interfaces\" in {}, or create it", part.config_path)});
    else if (!interface.is_up)
      findings.push_back({Grade::warn, fmt::format("{} is down", interface.name),
                          fmt::format("ip link set {} up", interface.name)});
    else
      findings.push_back(ok(fmt::format("{} is up", interface.name)));
  }
  return findings;
}

Finding xdp_of(const PartFacts& part, const InterfaceFacts& interface) {
  const std::string ours = "trap_" + part.part;
  if (interface.xdp_mode == "none" && !part.daemon.runs)
    return {Grade::warn, fmt::format("{} has no XDP program", interface.name),
            fmt::format("start trap-{}", part.part)};
  if (interface.xdp_mode == "none")
    return {Grade::fail,
            fmt::format("{} has no XDP program: packets pass unjudged", interface.name),
            fmt::format("systemctl restart trap-{}", part.part)};
  if (interface.xdp_program != ours && interface.xdp_program != ours + "_ip")
    return {Grade::fail,
            fmt::format("{} has another XDP program, \"{}\", in {} mode", interface.name,
                        interface.xdp_program, interface.xdp_mode),
            fmt::format("stop the service that attached it, then systemctl restart trap-{}",
                        part.part)};
  if (interface.xdp_mode != part.xdp_mode)
    return {Grade::warn,
            fmt::format("{} runs the program in {} mode, configured is {}", interface.name,
                        interface.xdp_mode, part.xdp_mode),
            fmt::format("systemctl restart trap-{}", part.part)};
  if (interface.xdp_mode == "generic")
    return {Grade::warn,
            fmt::format("{} runs the program in generic mode, which allocates each packet first",
                        interface.name),
            "write xdp_mode = \"native\" if the driver can"};
  return ok(
      fmt::format("{} runs {} in {} mode{}{}", interface.name, ours, interface.xdp_mode,
                  interface.xdp_front.empty() ? "" : ", behind " + interface.xdp_front,
                  interface.xdp_behind.empty() ? "" : ", in front of " + interface.xdp_behind));
}

Findings for_each_interface(const PartFacts& part,
                            Finding (*look)(const PartFacts&, const InterfaceFacts&)) {
  Findings findings;
  for (const InterfaceFacts& interface : part.interfaces) {
    if (interface.exists)
      findings.push_back(look(part, interface));
  }
  return findings;
}

Findings xdp(const PartFacts& part) {
  return runs_at_xdp(part) ? for_each_interface(part, xdp_of) : Findings{};
}

Finding mtu_of(const PartFacts& part, const InterfaceFacts& interface) {
  if (part.xdp_mode != "native" || interface.xdp_mode == "native" ||
      interface.mtu <= mtu_of_one_page)
    return ok(fmt::format("{} has MTU {}", interface.name, interface.mtu));
  return {Grade::warn,
          fmt::format("{} has MTU {}: its driver may refuse native XDP with more than {}",
                      interface.name, interface.mtu, mtu_of_one_page),
          fmt::format("ip link set {} mtu 1500, unless the program attaches without it",
                      interface.name)};
}

Findings mtu(const PartFacts& part) {
  return runs_at_xdp(part) ? for_each_interface(part, mtu_of) : Findings{};
}

Finding offloads_of(const PartFacts&, const InterfaceFacts& interface) {
  if (!interface.merges_packets)
    return ok(fmt::format("{} does not merge packets in hardware", interface.name));
  return {Grade::warn,
          fmt::format("{} merges packets in hardware (LRO or GRO-HW) before XDP sees them",
                      interface.name),
          interface.merging_is_fixed
              ? "its driver cannot switch that off: a hypervisor must offer control of the guest's "
                "offloads (in QEMU ctrl_guest_offloads=on), or no guest offloads"
              : fmt::format("ethtool -K {} lro off rx-gro-hw off", interface.name)};
}

Findings offloads(const PartFacts& part) {
  return runs_at_xdp(part) ? for_each_interface(part, offloads_of) : Findings{};
}

Finding rp_filter_of(const PartFacts& part, const InterfaceFacts& interface) {
  if (interface.rp_filter != strict_filter)
    return ok(fmt::format("{}: rp_filter is {}", interface.name, interface.rp_filter));
  const std::string lost =
      part.part == "client"
          ? "answers of backends that arrive by another interface than the route to the service"
          : "clients to which the route back is another interface";
  return {Grade::warn,
          fmt::format("{}: rp_filter is 1 (strict): the stack drops packets of {}", interface.name,
                      lost),
          fmt::format("sysctl -w net.ipv4.conf.{}.rp_filter=2, unless there is only one route",
                      interface.name)};
}

Findings rp_filter(const PartFacts& part) {
  return for_each_interface(part, rp_filter_of);
}

Findings peers(const PartFacts& part) {
  Findings findings;
  const char* what = part.part == "guard" ? "TRAP server" : "backend";
  for (const PeerFacts& peer : part.peers) {
    if (!peer.has_route)
      findings.push_back({Grade::fail, fmt::format("no route to {} {}", what, peer.address),
                          "run ip route get " + peer.address});
  }
  if (findings.empty() && !part.peers.empty())
    findings.push_back(
        ok(fmt::format("there is a route to each {} ({})", what, part.peers.size())));
  if (part.part == "guard" && part.daemon.runs && part.daemon.announcements == 0)
    findings.push_back({Grade::warn, "no TRAP server has announced a client yet",
                        "as it should be if no client came yet; else check that \"trap_servers\" "
                        "names the addresses that announcements come from, and that the keys fit"});
  return findings;
}

Findings others_at_tc(const PartFacts& part) {
  if (!part.daemon.runs)
    return {};
  Findings findings;
  for (const std::string& program : part.daemon.tc_before)
    findings.push_back(
        {Grade::warn, fmt::format("{} runs before trap-{} at tc", program, part.part),
         "what it accepts or drops is hidden from TRAP: bpftool net show names the programs; on "
         "Linux 6.6 and later a restart puts TRAP's first"});
  return findings.empty() ? Findings{ok("no other program runs before it at tc")} : findings;
}

Findings uncovered(const PartFacts& part) {
  if (!is_xdp(part))
    return {};
  Findings findings;
  for (const std::string& way : part.uncovered)
    findings.push_back(
        {part.accepts_uncovered ? Grade::ok : Grade::warn,
         fmt::format("{}: packets that come in by it are not judged", way),
         fmt::format("name it in \"interfaces\" of {}, or take it down{}", part.config_path,
                     part.part == "guard" ? "; uncovered = \"accept\" says that it may be so"
                                          : "")});
  return findings.empty() ? Findings{ok("no packet comes in past its programs")} : findings;
}

Findings consent(const PartFacts& part) {
  if (part.part != "client" || !part.daemon.runs)
    return {};
  Findings findings;
  for (const std::string& redirect : part.daemon.unconsented)
    findings.push_back(
        {Grade::warn, fmt::format("{}, which answers without CONSENT", redirect),
         "update the guard there if it is older than 0.5.0, look for a middlebox that removes TCP "
         "options, or name the target in a [[trust]]"});
  return findings.empty() ? Findings{ok("each target of a redirect has consented")} : findings;
}

Findings ports(const PartFacts& part) {
  Findings findings;
  for (const PortFacts& port : part.ports) {
    if (port.listens)
      findings.push_back(ok(fmt::format("service \"{}\" listens at {}", port.service, port.where)));
    else
      findings.push_back(
          {Grade::warn,
           fmt::format("nothing listens at {} for service \"{}\"", port.where, port.service),
           "start the service, or correct its port"});
  }
  return findings;
}

} // namespace

std::span<const PartCheck> part_checks() {
  static constexpr PartCheck all[] = {
      {"config", "the configuration file, and the keys it names", config},
      {"key-file", "mode and age of the key file", key_file},
      {"daemon", "whether the daemon answers, and its problems", daemon},
      {"keys", "the epochs of the keys in the ring", keys},
      {"interfaces", "the interfaces of the configuration", interfaces},
      {"uncovered", "interfaces and decapsulation that its programs do not see", uncovered},
      {"xdp", "the XDP program on each of them", xdp},
      {"mtu", "their MTU", mtu},
      {"offloads", "LRO and GRO in hardware", offloads},
      {"rp_filter", "net.ipv4.conf.*.rp_filter", rp_filter},
      {"peers", "routes to TRAP servers or backends, and whether announcements came", peers},
      {"tc", "programs of others that run before it at tc", others_at_tc},
      {"consent", "targets of redirects that did not consent lately", consent},
      {"ports", "sockets that listen for the services", ports},
  };
  return all;
}

} // namespace trap::ctl
