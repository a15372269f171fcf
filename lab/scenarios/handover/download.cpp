// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

void download(Scene& scene, Family family) {
  const Visit first = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(first, family, download_bytes, "first connection");
  scene.expect_handed_over(first, "first connection");
  scene.check(same_content(first.response.body, scene.trap().service().documents() / "5mb.bin"),
              "first connection: the right bytes", "the body differs from the document");

  const Visit second = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(second, family, download_bytes, "second connection");
  scene.expect_straight(second, "second connection");

  const auto status = scene.trap().client().status();
  const std::string service = endpoint(addresses_of("trap").address(family), service_port);
  const std::string backend = endpoint(addresses_of("service").address(family), service_port);
  bool listed = false;
  if (status)
    for (const Redirect& redirect : status->redirects)
      listed = listed || (redirect.service == service && redirect.backend == backend);
  scene.check(listed, "trapctl shows the redirect",
              status ? fmt::format("none from {} to {}", service, backend)
                     : status.error().message);
}

void download_in_both_families(Scene& scene) {
  for (const Family family : families)
    download(scene, family);
}

const Registration register_download_v4{{
    .name = "download-v4",
    .goal = "first and second download over IPv4, unseen by the application",
    .play = [](Scene& scene) { download(scene, Family::ipv4); },
}};

const Registration register_download_v6{{
    .name = "download-v6",
    .goal = "first and second download over IPv6, unseen by the application",
    .play = [](Scene& scene) { download(scene, Family::ipv6); },
}};

const Registration register_experimental_kind{{
    .name = "experimental-kind",
    .goal = "the same exchange in option kind 253",
    .plan = {.option_kind = "experimental"},
    .play = download_in_both_families,
}};

} // namespace
} // namespace trap::lab
