// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

// Without OFFER the application completes the handshake with the TRAP server itself and is reset;
// the module learns the redirect from that reset, as in the paper.
void paper_mode(Scene& scene) {
  for (const Family family : families) {
    const auto what = [&](std::string_view which) {
      return fmt::format("{}, {} connection", name_of(family), which);
    };
    const Visit first = scene.visit_service(family, "/5mb.bin");
    scene.check(first.response.exit_code != 0 && first.response.exit_code != curl_timed_out,
                what("first") + ": is reset, and does not hang", first.response.text());
    scene.check(count_of(first.moved.client, "pass-redirect-learnt") == 1,
                what("first") + ": the redirect is learnt", text_of(first.moved.client));
    scene.check(count_of(first.moved.client, "reply-accept") == 0,
                what("first") + ": nothing is swallowed", text_of(first.moved.client));
    const Visit second = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(second, family, download_bytes, what("second"));
    scene.expect_straight(second, what("second"));
  }
}

const Registration register_paper_mode{{
    .name = "paper-mode",
    .goal = "without OFFER the first connection is reset, the second goes straight",
    .plan = {.offer = false},
    .play = paper_mode,
}};

} // namespace
} // namespace trap::lab
