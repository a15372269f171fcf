// SPDX-License-Identifier: Apache-2.0
// Links of 9000 bytes: frames longer than a page come to XDP programs in several buffers.
#include <cstdio>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/programs/programs.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr int jumbo_mtu = 9000;
constexpr std::uint64_t segment_bytes_at_least = 8900;

bool widen_links(Scene& scene) {
  for (const HostAddresses& place : address_plan()) {
    auto done = scene.host("router").ip(fmt::format("link set {} mtu {}\n", place.host, jumbo_mtu));
    if (done)
      done = scene.host(place.host).ip(fmt::format("link set eth0 mtu {}\n", jumbo_mtu));
    if (!scene.done(done,
                    fmt::format("the link of {} takes frames of {} bytes", place.host, jumbo_mtu)))
      return false;
  }
  return true;
}

// The size of a connection's segments to the client, by the service's stack.
void expect_jumbo_segments(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a download under way", name_of(family));
  auto transfer =
      Transfer::start(scene.host("client"), {Deployment::public_url(family, "/steady/5mb.bin"),
                                             std::chrono::seconds{30}});
  if (!scene.check(transfer && Scene::wait_until_under_way(*transfer), what, "it does not start"))
    return;
  const auto connections =
      connections_at(scene.host("service"), addresses_of("service").address(family), service_port);
  const std::string text = connections ? *connections : connections.error().message;
  const std::size_t at = text.find(" mss:");
  unsigned long bytes = 0;
  if (at != std::string::npos)
    std::sscanf(text.c_str() + at, " mss:%lu", &bytes);
  scene.check(bytes + 40 >= segment_bytes_at_least,
              fmt::format("{}: in segments of {} bytes", what, bytes), text);
  const auto response = transfer->finish();
  scene.check(response && response->complete() && response->bytes == download_bytes,
              what + ": arrives whole", response ? response->text() : response.error().message);
}

// Segmentation is not offloaded to a veth with an XDP program: the service's interface receives
// frames as they were on the link.
void expect_jumbo_upload(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, an upload", name_of(family));
  const std::string name = fmt::format("jumbo-{}", name_of(family));
  const auto original = scene.trap().service().documents() / "5mb.bin";
  const auto before = scene.host("service").received_packets();
  const auto response =
      fetch(scene.host("client"), {Deployment::public_url(family, "/upload/" + name),
                                   std::chrono::seconds{30}, original});
  const auto after = scene.host("service").received_packets();
  scene.check(response && response->complete() &&
                  same_content(original, scene.trap().service().uploads() / name),
              what + ": every byte is right",
              response ? response->text() : response.error().message);
  const std::uint64_t frames = before && after ? *after - *before : 0;
  constexpr std::uint64_t least = download_bytes / jumbo_mtu, most = 2 * least;
  scene.check(frames > least && frames < most,
              fmt::format("{}: {} bytes came in {} frames", what, download_bytes, frames),
              fmt::format("{} to {} expected", least, most));
}

void jumbo(Scene& scene) {
  if (!widen_links(scene))
    return;
  const auto before = scene.trap().read();
  for (const Family family : families) {
    const std::string what = fmt::format("{}, frames of {} bytes", name_of(family), jumbo_mtu);
    const Visit first = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(first, family, download_bytes, what);
    scene.expect_handed_over(first, what);
    scene.check(same_content(first.response.body, scene.trap().service().documents() / "5mb.bin"),
                what + ": every byte is right", "the body differs from the document");
    expect_jumbo_segments(scene, family);
    expect_jumbo_upload(scene, family);
  }
  const auto after = scene.trap().read();
  Counters dropped =
      before && after ? difference(before->guard, after->guard) : Counters{{"unreadable", 1}};
  std::erase_if(dropped, [](const auto& one) {
    return one.first.starts_with("pass-") || one.first == "announce-accepted";
  });
  scene.check(dropped.empty(), "the guard dropped nothing of it", text_of(dropped));
}

const Registration register_jumbo{{
    .name = "jumbo",
    .goal = "downloads and uploads in frames of 9000 bytes, through every program",
    .plan = quiet_plan(),
    .play = jumbo,
}};

} // namespace
} // namespace trap::lab
