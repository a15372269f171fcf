// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/counters.h"
#include "lab/hosts/files.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"

namespace trap::lab {
namespace {

// Of SYNs whose sources are drawn at random, a few more than there are sources.
constexpr std::uint64_t sources = 1'000'000, syns = sources + sources / 100;
constexpr std::uint64_t large_bytes = 100'000'000;
constexpr std::uint64_t entries_of_one_client =
    256; // that the guard may have of it, however many sources there were
constexpr std::chrono::seconds deadline{60};
constexpr int downloads_max = 60;

std::uint64_t dropped_uninvited(Scene& scene, const Result<Reading>& before) {
  const auto now = scene.trap().guard().counters();
  return before && now
             ? count_of(*now, "drop-uninvited") - count_of(before->guard, "drop-uninvited")
             : 0;
}

bool download_large(Scene& scene, Family family) {
  const auto response =
      fetch(scene.host("client"), {Deployment::public_url(family, "/large.bin"), deadline});
  const bool whole = response && response->complete() && response->bytes == large_bytes &&
                     same_content(response->body, scene.trap().service().documents() / "large.bin");
  if (!whole)
    scene.check(false, fmt::format("{}: 100 MB arrive whole", name_of(family)),
                response ? response->text() : response.error().message);
  std::error_code ignored;
  if (response)
    std::filesystem::remove(response->body, ignored);
  return whole;
}

// Links lose packets under such a load, before the guard or behind it; the guard counts its own
// drops.
void expect_no_drop_but_the_floods(Scene& scene, const Result<Reading>& before) {
  const auto after = scene.trap().read();
  const Reading moved = before && after ? difference(*before, *after) : Reading{};
  Counters dropped = moved.guard;
  std::erase_if(dropped, [](const auto& one) { return !one.first.starts_with("drop-"); });
  scene.check(count_of(dropped, "drop-uninvited") >= syns && dropped.size() == 1,
              "the guard dropped uninvited SYNs and nothing else", text_of(dropped));
  scene.check(count_of(moved.guard, "pass-ticket") > 0 && count_of(moved.guard, "pass-flow") > 0 &&
                  count_of(moved.client, "pass-syn-unticketed") == 0 &&
                  count_of(moved.client, "pass-syn-given-up") == 0,
              "none of them was the client's, whose every SYN had its ticket",
              text_of(moved.client));
  const auto guard = scene.trap().guard().status();
  scene.check(guard && guard->flows <= entries_of_one_client &&
                  guard->announced <= entries_of_one_client,
              "no map of the guard grew with the flood",
              guard ? fmt::format("{} flows, {} announced", guard->flows, guard->announced)
                    : guard.error().message);
}

void million(Scene& scene) {
  if (!scene.done(
          write_random_file(scene.trap().service().documents() / "large.bin", large_bytes, 100),
          "a document of 100 MB is made"))
    return;
  for (const Family family : families)
    scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes,
                       fmt::format("{}, before", name_of(family)));
  const auto before = scene.trap().read();
  const auto stack_before = stack_counters(scene.host("service"));
  std::vector<Flood> floods;
  for (const Family family : families) {
    auto flood = Flood::start(scene.trap().topology(), {.family = family,
                                                        .kind = FloodKind::syn,
                                                        .victim = "service",
                                                        .port = service_port,
                                                        .many_sources = true});
    if (!scene.check(static_cast<bool>(flood),
                     fmt::format("{}: a SYN flood at the service begins", name_of(family)),
                     flood ? "" : flood.error().message))
      return;
    floods.push_back(std::move(*flood));
  }
  int downloads = 0;
  while (downloads < 2 || (downloads < downloads_max && dropped_uninvited(scene, before) < syns))
    if (!download_large(scene, families[downloads++ % 2]))
      return;
  const auto stack_after = stack_counters(scene.host("service"));
  scene.check(dropped_uninvited(scene, before) >= syns,
              fmt::format("{} downloads of 100 MB arrive whole beside {} sources (the links made "
                          "the service repeat {} segments)",
                          downloads, sources,
                          stack_before && stack_after
                              ? count_of(difference(*stack_before, *stack_after), "Tcp.RetransSegs")
                              : 0),
              fmt::format("only {} SYNs arrived", dropped_uninvited(scene, before)));
  expect_no_drop_but_the_floods(scene, before);
}

const Registration register_million_sources{{
    .name = "million-sources",
    .goal =
        "a client downloads beside a million invented sources, and the guard drops nothing of it",
    .plan = quiet_plan(),
    .run_class = RunClass::busy,
    .play = million,
}};

} // namespace
} // namespace trap::lab
