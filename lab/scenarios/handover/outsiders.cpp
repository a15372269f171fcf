// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/scenarios/scenarios.h"

namespace trap::lab::scenario {
namespace {

std::string service_url(Family family, int port) {
  return fmt::format("http://{}/small.txt", endpoint(place_of("service").address(family), port));
}

} // namespace

void stranger(Scene& scene) {
  for (const Family family : families) {
    const Visit refused =
        scene.visit("stranger", service_url(family, service_port), std::chrono::seconds{2});
    scene.check(refused.response.exit_code == curl_timed_out && refused.response.connect_s == 0,
                fmt::format("{}: the protected port does not answer a stranger", name_of(family)),
                refused.response.text());
    scene.check(count_of(refused.moved.guard, "drop-uninvited") > 0,
                fmt::format("{}: the guard dropped its SYNs", name_of(family)),
                text_of(refused.moved.guard));
    const Visit open = scene.visit("stranger", service_url(family, open_port));
    scene.check(open.response.complete(),
                fmt::format("{}: another port of the same host answers it", name_of(family)),
                open.response.text());
  }
}

// A host without a client module that goes where the public address says: the paper's TRAP server
// resets it.
void unaware(Scene& scene) {
  for (const Family family : families) {
    const Visit visit = scene.visit("stranger", Deployment::public_url(family, "/small.txt"),
                                    std::chrono::seconds{10});
    scene.check(visit.response.exit_code != 0 && visit.response.exit_code != curl_timed_out,
                fmt::format("{}: an unaware client is reset, and does not hang", name_of(family)),
                visit.response.text());
    scene.check(count_of(visit.moved.server, "reply-syn-ack") > 0,
                fmt::format("{}: after a handshake with the server", name_of(family)),
                text_of(visit.moved.server));
    scene.check(count_of(visit.moved.server, "reply-redirect") > 0,
                fmt::format("{}: the reset carried a redirect", name_of(family)),
                text_of(visit.moved.server));
  }
}

} // namespace trap::lab::scenario
