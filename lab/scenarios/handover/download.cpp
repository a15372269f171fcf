// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenarios.h"

namespace trap::lab::scenario {

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
  const std::string service = endpoint(place_of("trap").address(family), service_port);
  const std::string backend = endpoint(place_of("service").address(family), service_port);
  bool listed = false;
  if (status)
    for (const Redirect& redirect : status->redirects)
      listed = listed || (redirect.service == service && redirect.backend == backend);
  scene.check(listed, "trapctl shows the redirect",
              status ? fmt::format("none from {} to {}", service, backend)
                     : status.error().message);
}

} // namespace trap::lab::scenario
