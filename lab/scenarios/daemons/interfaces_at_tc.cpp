// SPDX-License-Identifier: Apache-2.0
// trap-server with attach = "tc" and a pattern for its interfaces: what comes at run time is judged
// like what is there at the start. An interface without Ethernet headers is uncovered, one that
// trap-guard takes is a problem.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "lab/network/tc_programs.h"
#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

constexpr std::string_view program_at_tc = "ingress trap_server_tc";
constexpr std::chrono::seconds change_time{10};

class InterfacesAtTc {
public:
  InterfacesAtTc(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    const std::string keys = "attach = \"tc\"\nexcept = [\"guard0\"]\n";
    if (!scene_.done(host_.daemon(DaemonKind::server)
                         .configure(keys + host_.configuration(DaemonKind::server), R"("*")"),
                     "the server is to be at every interface, at tc") ||
        !host_.start(DaemonKind::server))
      return;
    scene_.equal("ok", state(), "it is well");
    scene_.check(has_program("trap0"), "trap0 has the program", "it has not");
    meet_ethernet();
    meet_another_name();
    meet_a_tunnel();
    meet_a_guard();
  }

private:
  void ip(const std::string& words) { scene_.done(host_.host().ip(words + "\n"), "ip " + words); }

  std::string state() { return host_.status(DaemonKind::server).value("state", ""); }

  bool has_program(const std::string& interface) const {
    const auto programs = tc_programs(host_.host(), interface);
    return std::ranges::find(programs, program_at_tc) != programs.end();
  }

  // Among the problems, and the interfaces that are not covered.
  bool is_told(const std::string& words) {
    const auto status = host_.status(DaemonKind::server);
    const auto has = [&](const std::string& text) { return text.find(words) != std::string::npos; };
    return std::ranges::any_of(
               status["problems"],
               [&](const nlohmann::json& problem) { return has(problem.get<std::string>()); }) ||
           std::ranges::any_of(status["uncovered"], [&](const nlohmann::json& way) {
             return has(way.value("name", "") + " is not covered: " + way.value("reason", ""));
           });
  }

  void expect_word(bool wanted, const std::string& words, const std::string& what) {
    scene_.check(becomes([&] { return is_told(words) == wanted; }, change_time), what,
                 host_.status(DaemonKind::server).dump());
  }

  void meet_ethernet() {
    ip("link add new0 up type veth peer name new1");
    scene_.check(becomes([&] { return has_program("new0"); }, change_time),
                 "an Ethernet interface that comes has the program", "it has not");
  }

  bool is_listed(const std::string& interface) {
    const auto status = host_.status(DaemonKind::server);
    return std::ranges::any_of(status["interfaces"], [&](const nlohmann::json& one) {
      return one.value("name", "") == interface && one.value("attached", false);
    });
  }

  void meet_another_name() {
    ip("link set new0 name new9");
    scene_.check(becomes([&] { return is_listed("new9") && !is_listed("new0"); }, change_time),
                 "a renamed interface has the program by its new name",
                 host_.status(DaemonKind::server).dump());
    scene_.check(has_program("new9") && !is_told("new9"), "and is covered", "it is not");
    ip("link set new9 name new0");
    scene_.check(becomes([&] { return is_listed("new0"); }, change_time), "the old name is back",
                 host_.status(DaemonKind::server).dump());
  }

  void meet_a_tunnel() {
    const std::string words =
        "tun7 is not covered: interface tun7: its packets have no Ethernet header";
    ip("tuntap add dev tun7 mode tun");
    ip("link set tun7 up");
    expect_word(true, words, "a tunnel that comes is uncovered, with the reason");
    scene_.check(!has_program("tun7"), "and has no program, which would read it wrongly",
                 "it has it");
    ip("link delete tun7");
    expect_word(false, "tun7", "it goes, and so does the problem");
  }

  void meet_a_guard() {
    const std::string words = "interface new0: trap-guard has it at XDP";
    if (!scene_.done(host_.daemon(DaemonKind::guard)
                         .configure(host_.configuration(DaemonKind::guard), R"("new0")"),
                     "the guard is to be at new0") ||
        !host_.start(DaemonKind::guard))
      return;
    expect_word(true, words, "a guard that comes to the same interface is a problem");
    scene_.done(host_.daemon(DaemonKind::server).stop(), "the server stops");
    scene_.done(host_.daemon(DaemonKind::server).detach(), "and detaches");
    scene_.check(!has_program("new0") && !has_program("trap0"), "no interface has its program",
                 "one has");
    host_.start(DaemonKind::server, "starts beside the guard, as a pattern names it");
    expect_word(true, words, "and says why it is not at that interface");
    scene_.check(!has_program("new0") && has_program("trap0"), "it is at the other",
                 "it is not, or at both");
    scene_.done(host_.daemon(DaemonKind::guard).stop(), "the guard stops");
    scene_.done(host_.daemon(DaemonKind::guard).detach(), "and detaches");
    scene_.check(becomes([&] { return has_program("new0"); }, change_time),
                 "then the server takes that interface too", "it does not");
    expect_word(false, "new0", "and has no problem there");
  }

  Scene& scene_;
  DaemonHost& host_;
};

void interfaces_at_tc(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    InterfacesAtTc{scene, *host}.play();
}

const Registration register_interfaces_at_tc{{
    .name = "interfaces-at-tc",
    .goal = "a server at tc takes interfaces that come as it takes those that are there, or says "
            "why not",
    .plan = daemons_plan(),
    .play = interfaces_at_tc,
}};

} // namespace
} // namespace trap::lab
