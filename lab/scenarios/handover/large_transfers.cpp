// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t large_bytes = 100'000'000;
constexpr milliseconds transfer_deadline{60000};

// Segments of 64 kB go through the translation only while the offloads are on.
void expect_offloads(Scene& scene, std::string_view name) {
  const auto features =
      run(scene.host(name).command({"ethtool", "--show-features", "eth0"}), milliseconds{5000});
  const std::string text = features ? features->output : features.error().message;
  scene.check(text.find("tcp-segmentation-offload: on") != std::string::npos,
              fmt::format("{}: segmentation is offloaded", name), text);
}

void transfer(Scene& scene, Family family, const Request& request,
              const std::filesystem::path& sent, const std::filesystem::path& received,
              std::string_view direction) {
  const std::string what =
      fmt::format("{}, {} MB {}", name_of(family), large_bytes / 1'000'000, direction);
  const auto response = fetch(scene.host("client"), request);
  scene.check(response && response->complete() && response->bytes == large_bytes,
              what + ": completes", response ? response->text() : response.error().message);
  const std::filesystem::path& arrived = received.empty() && response ? response->body : received;
  scene.check(same_content(sent, arrived), what + ": every byte is right", "the files differ");
  std::error_code ignored;
  std::filesystem::remove(arrived, ignored);
}

void large_transfers(Scene& scene) {
  const auto original = scene.trap().service().documents() / "large.bin";
  if (!scene.done(write_random_file(original, large_bytes, 100), "a document of 100 MB is made"))
    return;
  expect_offloads(scene, "client");
  expect_offloads(scene, "service");
  for (const Family family : families) {
    const std::string target = fmt::format("/upload/large-{}", name_of(family));
    transfer(scene, family, {Deployment::public_url(family, "/large.bin"), transfer_deadline},
             original, {}, "down");
    transfer(scene, family, {Deployment::public_url(family, target), transfer_deadline, original},
             original, scene.trap().service().uploads() / target.substr(target.rfind('/') + 1),
             "up");
  }
}

const Registration register_large_transfers{{
    .name = "large-transfers",
    .goal = "100 MB down and up with offloads on",
    .run_class = RunClass::busy,
    .play = large_transfers,
}};

} // namespace
} // namespace trap::lab
