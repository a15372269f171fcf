// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/scenarios/plays.h"

namespace trap::lab::plays {
namespace {

// Announcements leave the server's daemon a moment after the redirect.
bool wait_for_announcement(Scene& scene, std::uint64_t at_least) {
  for (int tenths = 0; tenths < 50; tenths++) {
    const auto counters = scene.trap().guard().counters();
    if (counters && count_of(*counters, "announce-accepted") >= at_least)
      return true;
    if (!sleep_for(std::chrono::milliseconds{100}))
      return false;
  }
  return false;
}

} // namespace

// A SYN whose ticket a middlebox stripped still gets in, because the server announced the client.
void announcement(Scene& scene) {
  for (const Family family : families)
    scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes, std::string{name_of(family)});
  scene.check(wait_for_announcement(scene, 2), "the guard accepted an announcement in each family", "it counted fewer than 2 in 5 s");
  const auto server = scene.trap().server().status();
  scene.check(server && server->announcements_sent >= 2, "the server counts them as sent",
              server ? fmt::format("{} sent", server->announcements_sent) : server.error().message);
  scene.done(scene.trap().client().detach(), "the client module is taken away");
  for (const Family family : families) {
    const auto before = scene.trap().guard().counters();
    const auto response =
        fetch(scene.host("client"), {fmt::format("http://{}/small.txt", endpoint(place_of("service").address(family), service_port))});
    const auto after = scene.trap().guard().counters();
    const Counters moved = before && after ? difference(*before, *after) : Counters{};
    scene.check(response && response->complete(), fmt::format("{}: the announced client gets in without a ticket", name_of(family)),
                response ? response->text() : response.error().message);
    scene.check(count_of(moved, "pass-announced") > 0, fmt::format("{}: because it was announced", name_of(family)), text_of(moved));
  }
}

} // namespace trap::lab::plays
