// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/files.h"
#include "lab/flood.h"
#include "lab/scenarios/plays.h"
#include "lab/stack_counters.h"

namespace trap::lab::plays {
namespace {

constexpr std::uint64_t million = 1'000'000, large_bytes = 100'000'000;
constexpr std::uint64_t entries_of_one_client = 64; // that the guard may have of it, however many sources there were
constexpr std::chrono::seconds deadline{60};
constexpr int downloads_max = 20;

std::uint64_t retransmitted(const Result<Counters>& before, const Result<Counters>& after) {
  return before && after ? count_of(*after, "Tcp.RetransSegs") - count_of(*before, "Tcp.RetransSegs") : 0;
}

// Whatever the links lose under such a load, they lose before the guard or behind it; what the guard dropped, it counted.
void expect_no_drop_but_the_floods(Scene& scene, const Result<Reading>& before, const std::string& what) {
  const auto after = scene.trap().read();
  const Reading moved = before && after ? difference(*before, *after) : Reading{};
  Counters dropped = moved.guard;
  std::erase_if(dropped, [](const auto& one) { return !one.first.starts_with("drop-"); });
  scene.check(count_of(dropped, "drop-uninvited") >= million && dropped.size() == 1,
              fmt::format("{}: the guard dropped {} uninvited SYNs and nothing else", what, count_of(dropped, "drop-uninvited")),
              text_of(dropped));
  scene.check(count_of(moved.guard, "pass-ticket") > 0 && count_of(moved.guard, "pass-flow") > 0 &&
                  count_of(moved.client, "pass-syn-unticketed") == 0 && count_of(moved.client, "pass-syn-given-up") == 0,
              what + ": none of them the client's, whose every SYN had its ticket", text_of(moved.client));
  const auto guard = scene.trap().guard().status();
  scene.check(guard && guard->flows <= entries_of_one_client && guard->announced <= entries_of_one_client, what + ": no map grew",
              guard ? fmt::format("{} flows, {} announced", guard->flows, guard->announced) : guard.error().message);
}

// Over IPv4 hping3's random sources; over IPv6 the generator's 2^56. Each is used once.
void download_beside_a_million(Scene& scene, Family family) {
  const std::string what{name_of(family)};
  scene.expect_whole(scene.visit_service(family, "/small.txt"), family, scene.host("service").name().size() + 1, what + ", before");
  const auto before = scene.trap().read();
  const auto service_before = stack_counters(scene.host("service")), client_before = stack_counters(scene.host("client"));
  const auto flood = Flood::start(scene.trap().topology(), {family, FloodKind::syn, "service", service_port});
  if (!scene.check(static_cast<bool>(flood), what + ": a SYN flood at the service begins", flood ? "" : flood.error().message))
    return;
  auto seen = flood->seen();
  int downloads = 0;
  while (downloads < downloads_max && (downloads == 0 || (seen && seen->packets < million + million / 10))) {
    const auto response = fetch(scene.host("client"), {Deployment::public_url(family, "/large.bin"), deadline});
    downloads++;
    if (!response || !response->complete() || response->bytes != large_bytes ||
        !same_content(response->body, scene.trap().service().documents() / "large.bin")) {
      scene.check(false, fmt::format("{}: download {} of 100 MB arrives whole", what, downloads),
                  response ? response->text() : response.error().message);
      return;
    }
    std::error_code ignored;
    std::filesystem::remove(response->body, ignored);
    seen = flood->seen();
  }
  scene.check(seen && seen->packets >= million,
              fmt::format("{}: {} downloads of 100 MB arrive whole beside {} SYNs, {:.0f} a second", what, downloads,
                          seen ? seen->packets : 0, seen ? seen->per_second() : 0),
              "that is not a million");
  expect_no_drop_but_the_floods(scene, before, what);
  scene.check(true,
              fmt::format("{}: for the record, the links made the service repeat {} segments, and the client {}", what,
                          retransmitted(service_before, stack_counters(scene.host("service"))),
                          retransmitted(client_before, stack_counters(scene.host("client")))),
              "");
}

} // namespace

void million(Scene& scene) {
  if (!scene.done(write_random_file(scene.trap().service().documents() / "large.bin", large_bytes, 100), "a document of 100 MB is made"))
    return;
  for (const Family family : families)
    download_beside_a_million(scene, family);
}

} // namespace trap::lab::plays
