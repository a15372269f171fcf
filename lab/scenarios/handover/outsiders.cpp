// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

std::string service_url(Family family, int port) {
  return fmt::format("http://{}/small.txt",
                     endpoint(addresses_of("service").address(family), port));
}

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

const Registration register_stranger{{
    .name = "stranger",
    .goal = "a stranger gets no answer from the protected port, and from others as ever",
    .play = stranger,
}};

const Registration register_unaware{{
    .name = "unaware",
    .goal = "a client without a module is reset at once",
    .play = unaware,
}};

} // namespace
} // namespace trap::lab
