// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"
#include "lab/scenarios/scenario.h"
#include "runtime/fd.h"

namespace trap::lab {
namespace {

constexpr int closed_port = 9;

// Announcements leave the server's daemon a moment after the redirect.
bool wait_for_announcement(Scene& scene, std::uint64_t at_least) {
  return becomes(
      [&] {
        const auto counters = scene.trap().guard().counters();
        return counters && count_of(*counters, "announce-accepted") >= at_least;
      },
      std::chrono::seconds{5});
}

// Connects from one address of the client's host after the other, as fast as it goes. How many were
// answered, if by a reset.
int knock_from_all(const Host& host, const std::vector<std::string>& sources, int port) {
  const InHost inside{host};
  socklen_t length = 0;
  const sockaddr_storage target = socket_address(addresses_of("trap").ipv4, port, length);
  const timeval timeout{1, 0};
  int answered = 0;
  for (const std::string& source : sources) {
    const Fd fd{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_storage own = socket_address(source, 0, length);
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    const bool ready =
        inside.entered() && bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), length) == 0;
    const bool connected =
        ready && connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), length) == 0;
    answered +=
        connected ||
        (ready && (errno == ECONNRESET ||
                   errno == ECONNREFUSED)); // the reset may be there before connect() returns
  }
  return answered;
}

// More redirects in a moment than the program wakes the daemon for.
void expect_all_of_a_burst(Scene& scene, const std::vector<std::string>& sources) {
  scene.check(
      knock_from_all(scene.host("client"), sources, closed_port) ==
          static_cast<int>(sources.size()),
      fmt::format("the router has met {} more addresses of the client's host", sources.size()),
      "not all were answered");
  const auto before = scene.trap().guard().counters();
  const int answered = knock_from_all(scene.host("client"), sources, service_port);
  scene.check(answered == static_cast<int>(sources.size()), "a handshake from each of them",
              fmt::format("{} were answered", answered));
  scene.check(before && wait_for_announcement(scene, count_of(*before, "announce-accepted") +
                                                         sources.size()),
              "each of them is announced", "not all of them in 5 s");
}

void expect_all_of_bursts(Scene& scene) {
  constexpr int bursts = 4, of = 12;
  int last = 9;
  for (int burst = 0; burst < bursts; burst++) {
    std::vector<std::string> sources;
    std::string lines;
    for (int i = 0; i < of; i++) {
      sources.push_back(fmt::format("192.0.2.{}", ++last));
      lines += fmt::format("address add {}/{} dev eth0\n", sources.back(),
                           addresses_of("client").ipv4_prefix);
    }
    if (scene.done(scene.host("client").ip(lines), "the client's host has more addresses"))
      expect_all_of_a_burst(scene, sources);
  }
}

// A SYN whose ticket a middlebox stripped still gets in, because the server announced the client.
void announcement(Scene& scene) {
  for (const Family family : families)
    scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes,
                       std::string{name_of(family)});
  scene.check(wait_for_announcement(scene, 2), "the guard accepted an announcement in each family",
              "it counted fewer than 2 in 5 s");
  const auto server = scene.trap().server().status();
  scene.check(server && server->announcements_sent >= 2, "the server counts them as sent",
              server ? fmt::format("{} sent", server->announcements_sent) : server.error().message);
  scene.done(scene.trap().client().detach(), "the client module is taken away");
  for (const Family family : families) {
    const auto before = scene.trap().guard().counters();
    const auto response =
        fetch(scene.host("client"),
              {fmt::format("http://{}/small.txt",
                           endpoint(addresses_of("service").address(family), service_port))});
    const auto after = scene.trap().guard().counters();
    const Counters moved = before && after ? difference(*before, *after) : Counters{};
    scene.check(response && response->complete(),
                fmt::format("{}: the announced client gets in without a ticket", name_of(family)),
                response ? response->text() : response.error().message);
    scene.check(count_of(moved, "pass-announced") > 0,
                fmt::format("{}: because it was announced", name_of(family)), text_of(moved));
  }
  expect_all_of_bursts(scene);
}

const Registration register_announcement{{
    .name = "announcement",
    .goal = "an announced client is admitted without a ticket",
    .play = announcement,
}};

} // namespace
} // namespace trap::lab
