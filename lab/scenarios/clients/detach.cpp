// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lab/network/tc_programs.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

std::string said(const Host& host, std::vector<std::string> arguments) {
  const auto finished = run(host.command(std::move(arguments)), milliseconds{5000});
  return finished ? finished->output : finished.error().message;
}

std::string pins_of(const Host& host) {
  std::string names;
  std::error_code absent;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(host.bpf_directory(), absent))
    if (!entry.is_directory() &&
        entry.path().extension() !=
            ".debug") // every BPF file system has maps.debug and progs.debug
      names += " " + entry.path().filename().string();
  return names;
}

// Nothing of TRAP is left on a host it was detached from, and the host works as if it had never
// been there.
void detach(Scene& scene) {
  scene.expect_whole(scene.visit_service(Family::ipv4, "/5mb.bin"), Family::ipv4, download_bytes,
                     "before");
  scene.done(scene.trap().client().detach(), "trap-client --detach");
  scene.done(scene.trap().guard().detach(), "trap-guard --detach");
  scene.done(scene.trap().server().detach(), "trap-server --detach");
  for (const std::string_view name : {"client", "service", "trap"}) {
    const Host& host = scene.host(name);
    const std::string link = said(host, {"ip", "-details", "link", "show", "eth0"});
    scene.check(link.find("xdp") == std::string::npos,
                fmt::format("{}: no XDP program is left", name), link);
    const std::string programs = fmt::format("{}", fmt::join(tc_programs(host, "eth0"), ", "));
    scene.check(programs.empty(), fmt::format("{}: no tc program is left", name), programs);
    scene.check(pins_of(host).empty(), fmt::format("{}: no pin is left", name), pins_of(host));
  }
  for (const Family family : families) {
    const auto response =
        fetch(scene.host("stranger"),
              {fmt::format("http://{}/small.txt",
                           endpoint(addresses_of("service").address(family), service_port))});
    scene.check(response && response->complete(),
                fmt::format("{}: the service answers everyone again", name_of(family)),
                response ? response->text() : response.error().message);
  }
}

const Registration register_detach{{
    .name = "detach",
    .goal = "--detach leaves nothing of TRAP behind",
    .play = detach,
}};

} // namespace
} // namespace trap::lab
