// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

// A guard that is deployed on a busy host: open connections go on, new ones need an admission.
void late_guard(Scene& scene) {
  if (!scene.done(scene.trap().guard().detach(), "the service's host has no guard"))
    return;
  for (const Family family : families) {
    const std::string_view address = addresses_of("service").address(family);
    auto transfer =
        Transfer::start(scene.host("stranger"),
                        {fmt::format("http://{}/slow/5mb.bin", endpoint(address, service_port)),
                         std::chrono::seconds{40}});
    scene.check(transfer && Scene::wait_until_under_way(*transfer),
                fmt::format("{}: a download from a stranger is under way", name_of(family)),
                "it did not get there");
    scene.done(scene.trap().guard().start(), "the guard is deployed");
    const Visit late =
        scene.visit("stranger", fmt::format("http://{}/small.txt", endpoint(address, service_port)),
                    std::chrono::seconds{2});
    scene.check(late.response.exit_code == curl_timed_out && late.response.connect_s == 0,
                fmt::format("{}: a new connection is refused", name_of(family)),
                late.response.text());
    if (!transfer)
      return;
    const auto response = transfer->finish();
    scene.check(response && response->complete() &&
                    same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
                fmt::format("{}: the download under way completes", name_of(family)),
                response ? response->text() : response.error().message);
    const auto counters = scene.trap().guard().counters();
    scene.check(counters && count_of(*counters, "pass-socket") > 0,
                fmt::format("{}: because its socket existed", name_of(family)),
                counters ? text_of(*counters) : counters.error().message);
    scene.done(scene.trap().guard().detach(), "the guard is taken away again");
  }
}

const Registration register_late_guard{{
    .name = "late-guard",
    .goal = "a guard deployed during a download keeps it, and refuses new strangers",
    .play = late_guard,
}};

} // namespace
} // namespace trap::lab
