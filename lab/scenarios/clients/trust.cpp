// SPDX-License-Identifier: Apache-2.0
// [[trust]]: which services may redirect the client, and where to.
#include <fmt/format.h>

#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

std::string trust_of(std::string_view services, std::string_view targets) {
  return fmt::format("[[trust]]\nservices = [{}]\ntargets = [{}]\n", services, targets);
}

constexpr std::string_view public_service = R"("203.0.113.10:80", "[2001:db8:113::10]:80")";
constexpr std::string_view real_service = R"("198.51.100.16/28", "2001:db8:51::/64")";

// The offer is taken up, as the service may redirect, but not to there: the application sees the
// reset.
void expect_refused(Scene& scene, const std::string& verdict, const std::string& what) {
  for (const Family family : families) {
    const Visit visit =
        scene.visit("client", Deployment::public_url(family, "/small.txt"), milliseconds{5000});
    scene.check(!visit.response.complete() && count_of(visit.moved.client, verdict) > 0,
                fmt::format("{}, {}: {}", name_of(family), what, verdict),
                text_of(visit.moved.client));
    scene.check(count_of(visit.moved.guard, "pass-ticket") == 0,
                fmt::format("{}, {}: nothing reaches the target", name_of(family), what),
                text_of(visit.moved.guard));
  }
}

void expect_followed(Scene& scene, const std::string& what) {
  for (const Family family : families) {
    const Visit visit = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(visit, family, download_bytes, fmt::format("{}, {}", name_of(family), what));
    scene.expect_handed_over(visit, fmt::format("{}, {}", name_of(family), what));
  }
}

void trust(Scene& scene) {
  reconfigure_client(scene, trust_of(public_service, real_service));
  expect_followed(scene, "a target of the trust");
  scene.check(scene.trap().client().status() &&
                  scene.trap().client().status()->redirects.size() == 2,
              "two redirects are held", "they are not");
  reconfigure_client(scene, trust_of(public_service, R"("198.51.100.32/28", "2001:db8:52::/64")"));
  scene.check(scene.trap().client().status() && scene.trap().client().status()->redirects.empty(),
              "redirects that the new policy forbids are forgotten", "they are held");
  expect_refused(scene, "pass-redirect-refused", "another target");
  reconfigure_client(scene, "only_trusted = true\n" +
                                trust_of(R"("203.0.113.11", "2001:db8:113::11")", real_service));
  expect_refused(scene, "pass-offer-refused", "a service that is not trusted");
  reconfigure_client(scene, "only_trusted = true\n" +
                                trust_of(R"("203.0.113.0/24", "2001:db8:113::/48")", real_service));
  expect_followed(scene, "a service of a trusted prefix");
  const auto wrong = scene.trap().client().configure(trust_of(public_service, R"("127.0.0.0/8")"));
  const auto refused = scene.trap().client().reload();
  scene.check(wrong && !refused &&
                  refused.error().message.find("no client follows a redirect to 127.0.0.0/8") !=
                      std::string::npos,
              "a trust that cannot be meant is refused with its line",
              refused ? "it was taken" : refused.error().message);
}

const Registration register_trust{{
    .name = "trust",
    .goal = "services redirect only where the administrator trusts them",
    .play = trust,
}};

} // namespace
} // namespace trap::lab
