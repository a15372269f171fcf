// SPDX-License-Identifier: Apache-2.0
// Findings of trapctl doctor from invented facts: each check when all is well, and when it is not.
#include <gmock/gmock.h>

#include <algorithm>

#include "ctl/doctor/doctor_checks.h"
#include "ctl/doctor/doctor_listening.h"
#include "runtime/version.h"

namespace trap::test {
namespace {

using namespace ctl;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

HostFacts good_host() {
  HostFacts host;
  host.kernel_release = "6.12.1-amd64";
  host.has_btf = host.has_bpffs = true;
  host.loads_xdp = host.loads_tc = host.assigns_sockets = host.clock_synchronised = true;
  host.clock_error_us = 900;
  return host;
}

InterfaceFacts good_interface(const std::string& part) {
  InterfaceFacts interface;
  interface.name = "eth0";
  interface.exists = interface.is_up = true;
  interface.mtu = 1500;
  interface.xdp_mode = "native";
  interface.xdp_program = "trap_" + part;
  interface.rp_filter = 2;
  return interface;
}

PartFacts good_part(const std::string& part) {
  PartFacts facts;
  facts.part = part;
  facts.config_path = "/etc/trap/" + part + ".toml";
  facts.xdp_mode = part == "client" ? "" : "native";
  facts.interfaces = {good_interface(part)};
  if (part != "client")
    facts.key_file = {"/etc/trap/a.key", true, 0600, 3};
  facts.ports = {{"web", "port 80", true}};
  facts.peers = {{"203.0.113.10", true}};
  facts.daemon = {.runs = true,
                  .version = program_version,
                  .error = "",
                  .problems = {},
                  .epoch = 0,
                  .epochs_held = {},
                  .announcements = 1,
                  .tc_before = {},
                  .unconsented = {}};
  if (part != "client") {
    facts.daemon.epoch = 100;
    facts.daemon.epochs_held = {99, 100, 101, 102, 103};
  }
  return facts;
}

Finding look(const char* name, const HostFacts& host) {
  const auto checks = host_checks();
  auto check = std::find_if(checks.begin(), checks.end(),
                            [&](const HostCheck& one) { return one.name == std::string(name); });
  return check == checks.end() ? Finding{Grade::fail, "there is no such check", ""}
                               : check->look(host);
}

// The findings of a check that are not ok.
Findings faults(const char* name, const PartFacts& part) {
  const auto checks = part_checks();
  auto check = std::find_if(checks.begin(), checks.end(),
                            [&](const PartCheck& one) { return one.name == std::string(name); });
  if (check == checks.end())
    return {{Grade::fail, "there is no such check", ""}};
  Findings all = check->look(part);
  all.erase(std::remove_if(all.begin(), all.end(),
                           [](const Finding& finding) { return finding.grade == Grade::ok; }),
            all.end());
  return all;
}

MATCHER_P2(Finds, grade, what, "") {
  return arg.grade == grade && arg.what.find(what) != std::string::npos && !arg.mend.empty();
}

TEST(Doctor, finds_nothing_where_all_is_well) {
  for (const HostCheck& check : host_checks())
    EXPECT_EQ(check.look(good_host()).grade, Grade::ok) << check.name;
  for (const std::string part : {"server", "guard", "client"}) {
    for (const PartCheck& check : part_checks())
      EXPECT_THAT(faults(check.name, good_part(part)), IsEmpty()) << part << " " << check.name;
  }
}

TEST(Doctor, knows_what_a_kernel_must_have) {
  HostFacts host = good_host();
  host.kernel_release = "5.15.0-91-generic";
  EXPECT_THAT(look("kernel", host), Finds(Grade::fail, "too old"));
  host = good_host();
  host.has_btf = false;
  EXPECT_THAT(look("btf", host), Finds(Grade::fail, "/sys/kernel/btf"));
  host = good_host();
  host.loads_xdp = false;
  EXPECT_THAT(look("programs", host), Finds(Grade::fail, "no XDP"));
  host = good_host();
  host.loads_tc = false;
  EXPECT_THAT(look("programs", host), Finds(Grade::fail, "no tc"));
  host.loads_tc = std::nullopt;
  EXPECT_THAT(look("programs", host), Finds(Grade::warn, "not known"));
}

TEST(Doctor, misses_socket_assignment_only_since_it_exists) {
  HostFacts host = good_host();
  host.assigns_sockets = false;
  EXPECT_THAT(look("sockets", host), Finds(Grade::warn, "bpf_sk_assign_tcp_reqsk"));
  host.kernel_release = "6.8.12";
  EXPECT_EQ(look("sockets", host).grade, Grade::ok);
  host.kernel_release = "6.9.0";
  EXPECT_EQ(look("sockets", host).grade, Grade::warn);
}

TEST(Doctor, minds_privilege_bpffs_and_clock) {
  HostFacts host = good_host();
  host.privilege_problem = "no privilege: this needs CAP_BPF";
  EXPECT_THAT(look("privilege", host), Finds(Grade::warn, "CAP_BPF"));
  host.has_bpffs = false;
  EXPECT_THAT(look("bpffs", host), Finds(Grade::warn, "/sys/fs/bpf"));
  host.clock_synchronised = false;
  EXPECT_THAT(look("clock", host), Finds(Grade::warn, "not synchronised"));
  host.clock_synchronised = true;
  host.clock_error_us = 5000000;
  EXPECT_THAT(look("clock", host), Finds(Grade::warn, "5000 ms off"));
}

TEST(Doctor, reads_configuration_and_keys) {
  PartFacts part = good_part("guard");
  part.config_problem = "/etc/trap/guard.toml:3: unknown key \"prot\"";
  EXPECT_THAT(faults("config", part), ElementsAre(Finds(Grade::fail, "guard.toml:3")));
  part.key_file.mode = 0640;
  EXPECT_THAT(faults("key-file", part), ElementsAre(Finds(Grade::fail, "mode 0640")));
  part.key_file.exists = false;
  EXPECT_THAT(faults("key-file", part), ElementsAre(Finds(Grade::fail, "is not there")));
  part.key_file = {"/etc/trap/guard.key", true, 0400, 500};
  EXPECT_THAT(faults("key-file", part), ElementsAre(Finds(Grade::warn, "500 days")));
}

TEST(Doctor, asks_the_daemon) {
  PartFacts part = good_part("server");
  part.daemon.problems = {"interface eth0 is gone", "nobody listens at 203.0.113.10:80"};
  EXPECT_THAT(faults("daemon", part), ElementsAre(Finds(Grade::fail, "eth0 is gone"),
                                                  Finds(Grade::fail, "nobody listens")));
  part = good_part("server");
  part.daemon.version = "0.0.9";
  EXPECT_THAT(faults("daemon", part), ElementsAre(Finds(Grade::warn, "0.0.9")));
  part.daemon = {};
  EXPECT_THAT(faults("daemon", part), ElementsAre(Finds(Grade::fail, "does not run")));
  EXPECT_THAT(faults("keys", part), IsEmpty()) << "without a daemon nobody can say";
  part.daemon.error = "control socket /run/trap/server.sock: cannot connect: Permission denied";
  EXPECT_THAT(faults("daemon", part), ElementsAre(Finds(Grade::fail, "Permission denied")));
}

TEST(Doctor, counts_the_keys_left) {
  PartFacts part = good_part("server");
  part.daemon.epochs_held = {99, 100, 101};
  EXPECT_THAT(faults("keys", part), ElementsAre(Finds(Grade::warn, "for 1 epochs")));
  part.daemon.epochs_held = {97, 98, 99};
  EXPECT_THAT(faults("keys", part), ElementsAre(Finds(Grade::fail, "present epoch, 100")));
}

TEST(Doctor, looks_at_interfaces) {
  PartFacts part = good_part("guard");
  InterfaceFacts& interface = part.interfaces[0];
  interface.is_up = false;
  EXPECT_THAT(faults("interfaces", part), ElementsAre(Finds(Grade::warn, "eth0 is down")));
  interface.exists = false;
  EXPECT_THAT(faults("interfaces", part), ElementsAre(Finds(Grade::fail, "eth0 is not there")));
  EXPECT_THAT(faults("xdp", part), IsEmpty());
  interface = good_interface("guard");
  interface.merges_packets = true;
  EXPECT_THAT(faults("offloads", part), ElementsAre(Finds(Grade::warn, "LRO")));
  EXPECT_THAT(faults("offloads", part)[0].mend, HasSubstr("ethtool -K"));
  interface.merging_is_fixed = true;
  EXPECT_THAT(faults("offloads", part)[0].mend, Not(HasSubstr("ethtool"))) << "it would be refused";
  interface.rp_filter = 1;
  EXPECT_THAT(faults("rp_filter", part), ElementsAre(Finds(Grade::warn, "strict")));
}

TEST(Doctor, tells_whose_xdp_program_it_is) {
  PartFacts part = good_part("guard");
  InterfaceFacts& interface = part.interfaces[0];
  interface.xdp_program = "xdp_filter";
  EXPECT_THAT(faults("xdp", part), ElementsAre(Finds(Grade::fail, "\"xdp_filter\"")));
  interface = good_interface("guard");
  interface.xdp_front = "trap_server";
  EXPECT_THAT(faults("xdp", part), IsEmpty()) << "the server's program leads to the guard's";
  interface.xdp_program = "trap_guard";
  interface.xdp_mode = "generic";
  EXPECT_THAT(faults("xdp", part), ElementsAre(Finds(Grade::warn, "configured is native")));
  part.xdp_mode = "generic";
  EXPECT_THAT(faults("xdp", part), ElementsAre(Finds(Grade::warn, "generic mode")));
  interface.xdp_mode = "none";
  EXPECT_THAT(faults("xdp", part), ElementsAre(Finds(Grade::fail, "unjudged")));
  part.daemon.runs = false;
  EXPECT_THAT(faults("xdp", part), ElementsAre(Finds(Grade::warn, "no XDP program")));
  part = good_part("client");
  part.interfaces[0].xdp_mode = "none";
  EXPECT_THAT(faults("xdp", part), IsEmpty()) << "a client has none";
}

TEST(Doctor, asks_no_xdp_of_a_server_at_tc) {
  PartFacts part = good_part("server");
  part.xdp_mode = ""; // attach = "tc"
  part.interfaces[0].xdp_mode = "none";
  part.interfaces[0].mtu = 9000;
  part.interfaces[0].merges_packets = true;
  for (const char* const check : {"xdp", "mtu", "offloads"})
    EXPECT_THAT(faults(check, part), IsEmpty()) << check;
}

TEST(Doctor, minds_large_frames_until_the_driver_has_taken_them) {
  PartFacts part = good_part("server");
  part.interfaces[0].mtu = 9000;
  EXPECT_THAT(faults("mtu", part), IsEmpty()) << "attached in native mode: the driver can";
  part.interfaces[0].xdp_mode = "none";
  EXPECT_THAT(faults("mtu", part), ElementsAre(Finds(Grade::warn, "MTU 9000")));
}

TEST(Doctor, names_programs_that_run_before_ours) {
  for (const std::string name : {"client", "server", "guard"}) {
    PartFacts part = good_part(name);
    part.daemon.tc_before = {"eth0: egress accepts"};
    EXPECT_THAT(faults("tc", part),
                ElementsAre(Finds(Grade::warn, "eth0: egress accepts runs before trap-" + name)));
  }
}

TEST(Doctor, tells_of_targets_that_did_not_consent) {
  PartFacts part = good_part("client");
  part.daemon.unconsented = {"203.0.113.10:80 redirects to 198.51.100.20:80"};
  EXPECT_THAT(faults("consent", part),
              ElementsAre(Finds(Grade::warn, "198.51.100.20:80, which answers without CONSENT")));
}

TEST(Doctor, looks_for_peers_and_listeners) {
  PartFacts part = good_part("guard");
  part.peers.push_back({"192.0.2.1", false});
  part.daemon.announcements = 0;
  EXPECT_THAT(faults("peers", part), ElementsAre(Finds(Grade::fail, "TRAP server 192.0.2.1"),
                                                 Finds(Grade::warn, "announced a client yet")));
  part.ports.push_back({"ssh", "port 22", false});
  EXPECT_THAT(faults("ports", part),
              ElementsAre(Finds(Grade::warn, "port 22 for service \"ssh\"")));
}

// Three listeners as a kernel printed them: 127.0.0.1:8080, [::]:443, 203.0.113.10:80; and a
// connection at 203.0.113.10:81.
TEST(Doctor, reads_the_kernels_tables_of_sockets) {
  Listeners listeners;
  listeners.add("  sl  local_address rem_address   st tx_queue\n"
                "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
                "   1: 0A7100CB:0050 00000000:0000 0A 00000000:00000000\n"
                "   2: 0A7100CB:0051 076433C6:1092 01 00000000:00000000\n");
  listeners.add(
      "  sl  local_address                         remote_address                        st\n"
      "   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A\n");
  auto at = [&](const char* text) { return listeners.at(*parse_endpoint(text)); };
  EXPECT_TRUE(at("127.0.0.1:8080"));
  EXPECT_FALSE(at("203.0.113.10:8080"));
  EXPECT_TRUE(at("203.0.113.10:80"));
  EXPECT_FALSE(at("203.0.113.10:81")) << "a connection is no listener";
  EXPECT_TRUE(at("203.0.113.10:443")) << "a listener for all of IPv6 takes IPv4, too";
  EXPECT_TRUE(at("[2001:db8::1]:443"));
  EXPECT_TRUE(listeners.at_port(80));
  EXPECT_FALSE(listeners.at_port(81));
}

} // namespace
} // namespace trap::test
