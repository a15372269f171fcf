// SPDX-License-Identifier: Apache-2.0
// Redirects in use are renewed before they end, so that no connection waits for a handshake; those
// that are not in use are let go.
#include <fmt/format.h>

#include "lab/network/lan.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr auto timeout = std::chrono::seconds{90};
constexpr std::uint64_t renewals = 2; // of each redirect

// A host with a redirect, and the redirect's family.
struct User {
  const Host* host;
  Family family;
  [[nodiscard]] std::string name() const {
    return fmt::format("{}, {}", name_of(family), host->name());
  }
};

// Connections of all users in turns, until a verdict was counted so often. Returns the counters
// that moved.
Counters visit_until(Scene& scene, const std::vector<User>& users, std::string_view verdict,
                     std::uint64_t count, const std::string& what) {
  const auto before = scene.trap().client().counters();
  int failures = 0, visits = 0;
  Counters moved;
  const bool came = becomes(
      [&] {
        for (const User& user : users) {
          const auto response = fetch(
              *user.host, {Deployment::public_url(user.family, "/small.txt"), milliseconds{10000}});
          visits++;
          failures += !response || !response->complete();
        }
        const auto now = scene.trap().client().counters();
        moved = before && now ? difference(*before, *now) : Counters{};
        return count_of(moved, verdict) >= count || !sleep_for(milliseconds{150});
      },
      timeout);
  scene.check(
      came && failures == 0,
      fmt::format("{}: {} connections, all well, until {} {}", what, visits, verdict, count),
      fmt::format("{} failed; {}", failures, text_of(moved)));
  return moved;
}

// One redirect that is not renewed would show: its user's connections would ask the TRAP server
// when it is over.
void expect_renewed(Scene& scene, const std::vector<User>& users) {
  for (const User& user : users) {
    const Visit first = scene.visit(*user.host, Deployment::public_url(user.family, "/small.txt"));
    scene.expect_handed_over(first, user.name() + ", first connection");
  }
  const Counters moved =
      visit_until(scene, users, "redirect-renewed", renewals * users.size(), "with renewal");
  scene.check(count_of(moved, "reply-reissued-syn") == 0 &&
                  count_of(moved, "pass-syn-remembered") == 0 &&
                  count_of(moved, "pass-syn-ticketed") > 0,
              "every connection went straight", text_of(moved));
}

void renewal(Scene& scene) {
  const auto lan = Lan::build(scene.trap().topology(), private_lan, LanKind::routed);
  const Host& gateway = scene.host("client");
  if (!scene.check(static_cast<bool>(lan), "a host is behind the client's host",
                   lan ? "" : lan.error().message) ||
      !scene.done(filter(gateway), "which filters") ||
      !scene.done(masquerade(gateway), "and translates"))
    return;
  reconfigure_client(scene, "lan = [\"br0\"]\n");
  expect_renewed(scene, {{&gateway, Family::ipv4},
                         {&gateway, Family::ipv6},
                         {&lan->host(1), Family::ipv4},
                         {&lan->host(2), Family::ipv6}});
  const auto status = scene.trap().client().control({"status", "client", "--json"});
  scene.check(status && status->output.find("\"failed\": 0") != std::string::npos,
              "no renewal failed", status ? status->output : status.error().message);
  reconfigure_client(scene, "renew = false\n");
  const Counters moved =
      visit_until(scene, {{&gateway, Family::ipv4}}, "reply-reissued-syn", 1, "without renewal");
  scene.check(count_of(moved, "redirect-renewed") == 0,
              "without renewal: a connection asked the TRAP server when the redirect was over",
              text_of(moved));
}

// Redirects last for seconds, so that many renewals fit into a scenario.
DeploymentPlan short_lived_plan() {
  DeploymentPlan plan = quiet_plan();
  plan.ticket_lifetime_s = 16;
  return plan;
}

const Registration register_renewal{{
    .name = "renewal",
    .goal = "redirects in use are renewed, and no connection waits",
    .plan = short_lived_plan(),
    .play = renewal,
}};

} // namespace
} // namespace trap::lab
