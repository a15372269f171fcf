// SPDX-License-Identifier: Apache-2.0
// Programs of others on the client's interface, in tcx and in clsact, before ours and behind it.
#include <fmt/format.h>

#include "lab/network/tc_programs.h"
#include "lab/scenarios/scenario.h"
#include "runtime/attach/tc_filter.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds tc_deadline{5000};
constexpr int early = 1, late = 30; // priorities

// Classic BPF: drops IPv4 packets to the service's port 9 (TC_ACT_SHOT), and leaves what else there
// is to others (TC_ACT_UNSPEC).
constexpr std::string_view drops_discard = "9,40 0 0 12,21 0 6 2048,48 0 0 23,21 0 4 6,40 0 0 "
                                           "36,21 0 2 9,6 0 0 2,6 0 0 4294967295,6 0 0 4294967295";
constexpr std::string_view leaves_all = "1,6 0 0 4294967295";

bool goes_first(Scene& scene, Direction direction, const Fd& program) {
  return scene.done(
      put_first(scene.host("client"), "eth0", direction, program),
      fmt::format("a program of another owner goes first in tcx, {}", direction_name(direction)));
}

Result<std::string> tc(Scene& scene, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "tc");
  return run_checked(scene.host("client").command(std::move(arguments)), tc_deadline);
}

bool add_filter(Scene& scene, std::string_view direction, int priority, std::string_view bytecode,
                const std::string& what) {
  const auto added = tc(scene, {"filter", "add", "dev", "eth0", std::string{direction}, "prio",
                                std::to_string(priority), "protocol", "all", "bpf", "da",
                                "bytecode", std::string{bytecode}});
  return scene.check(static_cast<bool>(added),
                     fmt::format("{}, {}, priority {}", what, direction, priority),
                     added ? "" : added.error().message);
}

bool has_filter(Scene& scene, std::string_view direction, int priority) {
  const auto shown = tc(scene, {"filter", "show", "dev", "eth0", std::string{direction}});
  return shown && shown->find(fmt::format("pref {} bpf", priority)) != std::string::npos;
}

// Port 9 of the TRAP host is closed: its stack refuses at once, unless the other's filter drops the
// SYN.
bool reaches_closed_port(Scene& scene) {
  const auto response =
      fetch(scene.host("client"),
            {fmt::format("http://{}:9/", addresses_of("trap").ipv4), milliseconds{2000}});
  return response && response->exit_code == curl_refused;
}

void other_filters(Scene& scene) {
  scene.check(reaches_closed_port(scene), "without other filters port 9 refuses", "it does not");
  scene.done(scene.trap().client().detach(), "the client module is taken away");
  scene.check(static_cast<bool>(tc(scene, {"qdisc", "add", "dev", "eth0", "clsact"})),
              "another owner makes a clsact qdisc", "it cannot");
  for (const std::string_view direction : {"ingress", "egress"})
    if (!add_filter(scene, direction, early, leaves_all, "a filter of another program") ||
        !add_filter(scene, direction, late, direction == "egress" ? drops_discard : leaves_all,
                    "another one"))
      return;
  const Fd accepts = program_that_accepts();
  if (!goes_first(scene, Direction::ingress, accepts))
    return;
  scene.done(scene.trap().client().start(), "and comes back");
  for (const Family family : families) {
    const std::string name{name_of(family)};
    const Visit first = scene.visit_service(family, "/5mb.bin"),
                second = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(first, family, download_bytes, name + ", first connection");
    scene.expect_handed_over(first, name + ", first connection");
    scene.expect_whole(second, family, download_bytes, name + ", second connection");
    scene.expect_straight(second, name + ", second connection");
  }
  scene.check(!reaches_closed_port(scene), "the filter behind ours still drops its packets",
              "port 9 refuses");
  scene.done(scene.trap().client().detach(), "the client module is taken away");
  for (const std::string_view direction : {"ingress", "egress"})
    scene.check(has_filter(scene, direction, early) && has_filter(scene, direction, late),
                fmt::format("the other filters are still there, {}", direction), "they are not");

  // It fails open: a program that gets in front of ours and accepts everything hides the packets.
  scene.done(scene.trap().client().start(), "trap-client comes back");
  if (!goes_first(scene, Direction::egress, accepts))
    return;
  const auto status = scene.trap().client().status();
  scene.check(status && status->tc_before == std::vector<std::string>{"egress accepts"},
              "trapctl status names it", "it does not");
  const Visit alone = scene.visit_service(Family::ipv4, "/small.txt");
  scene.check(!alone.response.complete() && count_of(alone.moved.server, "reply-redirect") == 1 &&
                  count_of(alone.moved.client, "reply-reissued-syn") == 0,
              "the connection goes the ordinary way, to a TRAP server that resets",
              alone.response.text());
}

const Registration register_other_filters{{
    .name = "other-filters",
    .goal = "programs of others at tc, before the client's and behind them",
    .play = other_filters,
}};

} // namespace
} // namespace trap::lab
