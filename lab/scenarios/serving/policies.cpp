// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/scenarios/serving/answers.h"

namespace trap::lab {
namespace {

// As policies_text() has them: kept on serve, led to the pool of service-2, and one that no policy
// names.
struct PolicedClients {
  std::string served, pooled, other;
};

PolicedClients clients_of(Family family) {
  if (family == Family::ipv4)
    return {"192.0.2.10", "192.0.2.17", "192.0.2.2"};
  return {"2001:db8:2::10", "2001:db8:2::17", "2001:db8:2::2"};
}

Reading moved_by_visit(Scene& scene, Family family, const std::string& local,
                       const std::string& host, const std::string& what) {
  const auto before = scene.trap().read();
  const std::string answer = answering_host(scene, family, local);
  const auto after = scene.trap().read();
  scene.check(answer == host, fmt::format("{}: gets the document of {}", what, host), answer);
  return before && after ? difference(*before, *after) : Reading{};
}

void denied(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a denied network", name_of(family));
  const Visit visit = scene.visit("stranger", Deployment::public_url(family, "/small.txt"),
                                  std::chrono::seconds{2});
  scene.check(visit.response.exit_code == curl_timed_out && visit.response.connect_s == 0,
              what + ": gets no answer", visit.response.text());
  scene.check(count_of(visit.moved.server, "drop-denied") > 0 &&
                  count_of(visit.moved.server, "reply-syn-ack") == 0,
              what + ": the server dropped its SYNs", text_of(visit.moved.server));
}

void policies(Scene& scene) {
  scene.done(scene.host("client").ip(
                 "address add 192.0.2.10/32 dev eth0\naddress add 192.0.2.17/32 dev eth0\n"
                 "address add 2001:db8:2::10/64 dev eth0 nodad\naddress add 2001:db8:2::17/64 dev "
                 "eth0 nodad\n"),
             "the client has more addresses");
  for (const Family family : families) {
    denied(scene, family);
    const PolicedClients clients = clients_of(family);
    const std::string what{name_of(family)};

    const Reading served =
        moved_by_visit(scene, family, clients.served, "service", what + ", a client to be served");
    scene.check(count_of(served.server, "reply-redirect") == 0 &&
                    count_of(served.server, "pass-cookie") == 1,
                what + ", a client to be served: is, though it has the module",
                text_of(served.server));
    const Reading pooled = moved_by_visit(scene, family, clients.pooled, "service-2",
                                          what + ", a client with a pool of its own");
    scene.check(count_of(pooled.server, "reply-redirect") == 1,
                what + ", a client with a pool of its own: is redirected into it",
                text_of(pooled.server));
    const Reading other =
        moved_by_visit(scene, family, clients.other, "service", what + ", any other client");
    scene.check(count_of(other.server, "reply-redirect") == 1,
                what + ", any other client: is redirected to the default pool",
                text_of(other.server));
  }
}

// Every action by prefix, in both families; service-2 is the pool "partners".
DeploymentPlan policies_plan() {
  DeploymentPlan plan = relayed_plan();
  plan.two_backends = true;
  plan.second_pool = "partners";
  for (const auto& [action, prefixes] :
       {std::pair{"deny", R"("192.0.2.64/26", "2001:db8:66::/48")"},
        std::pair{"serve", R"("192.0.2.10", "2001:db8:2::10")"},
        std::pair{"pool", R"("192.0.2.16/28", "2001:db8:2::17/128")"}})
    plan.policies +=
        fmt::format("  [[service.policy]]\n  action = \"{}\"\n{}  prefixes = [{}]\n", action,
                    std::string_view{action} == "pool" ? "  pool = \"partners\"\n" : "", prefixes);
  return plan;
}

const Registration register_policies{{
    .name = "policies",
    .goal = "client prefixes are denied, served, or led to a pool",
    .plan = policies_plan(),
    .play = policies,
}};

} // namespace
} // namespace trap::lab
