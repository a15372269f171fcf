// SPDX-License-Identifier: Apache-2.0
// The wall clock of one host is set wrong, and right again. Open connections go on, new ones find
// a way, that host says so, and nothing is locked out once the clock is right.
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int hour_s = 3600;
constexpr milliseconds patience{20000}, until_said{5000}, until_normal{60000};
constexpr milliseconds until_counted{15000}; // refusals are looked for every 10 s

// The file that the preloaded library reads.
class WallClock {
public:
  explicit WallClock(const Host& host) : path_(host.directory() / "clock") { set(0); }

  void set(std::int64_t seconds) const {
    std::array<char, sizeof seconds> bytes{};
    std::memcpy(bytes.data(), &seconds, sizeof seconds);
    // In place: the daemon has the file mapped.
    std::fstream file{path_, std::ios::in | std::ios::out | std::ios::binary};
    if (!file)
      file.open(path_, std::ios::out | std::ios::binary);
    file.write(bytes.data(), bytes.size());
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

Daemon& daemon_of(Scene& scene, DaemonKind kind) {
  Deployment& trap = scene.trap();
  return kind == DaemonKind::server  ? trap.server()
         : kind == DaemonKind::guard ? trap.guard()
                                     : trap.client();
}

bool says(const Daemon& daemon, std::string_view line, bool wanted, milliseconds within) {
  return becomes(
      [&] {
        const auto status = daemon.status();
        if (!status)
          return false;
        bool said = false;
        for (const std::string& problem : status->problems)
          said = said || problem.find(line) != std::string::npos;
        return said == wanted;
      },
      within);
}

bool says_that_it_was_set(const Daemon& daemon, bool wanted) {
  return says(daemon, "this host's clock was set", wanted, until_said);
}

// Until a first connection goes by its ticket again.
bool is_normal_again(Scene& scene, Family family) {
  return becomes(
      [&] {
        scene.forget_redirects();
        const Visit visit = scene.visit_service(family, "/small.txt");
        return visit.response.complete() && count_of(visit.moved.guard, "pass-ticket") > 0;
      },
      until_normal);
}

void step(Scene& scene, DaemonKind kind, const WallClock& clock, int by_s, Family family) {
  const std::string what =
      fmt::format("{}, the clock of trap-{} is {} h {}", name_of(family), name_of(kind),
                  std::abs(by_s) / hour_s, by_s > 0 ? "ahead" : "behind");
  Daemon& daemon = daemon_of(scene, kind);
  auto transfer = Transfer::start(scene.host("client"),
                                  {Deployment::public_url(family, "/slow/5mb.bin"), patience * 3});
  if (!scene.check(transfer && Scene::wait_until_under_way(*transfer),
                   what + ": a download is under way", "it did not get there"))
    return;
  clock.set(by_s);
  scene.check(says_that_it_was_set(daemon, true), what + ": its status says so", "it does not");
  scene.forget_redirects();
  const Visit meanwhile =
      scene.visit("client", Deployment::public_url(family, "/small.txt"), patience);
  scene.check(meanwhile.response.complete(), what + ": a new connection finds a way",
              meanwhile.response.text());
  if (kind == DaemonKind::guard)
    scene.check(says(daemon, "announcements are refused for their time", true, until_counted),
                what + ": it says that announcements are refused", "it does not");
  clock.set(0);
  scene.check(says_that_it_was_set(daemon, false), what + ", and right again: no problem is left",
              "there is one");
  scene.check(is_normal_again(scene, family), what + ", and right again: tickets open the service",
              "not within a minute");
  const auto response = transfer->finish();
  scene.check(response && response->complete(), what + ": the download went on",
              response ? response->text() : response.error().message);
}

// A folder with the daemon's name in it, for the daemon with a clock of its own.
Result<std::filesystem::path> with_own_clock(const Host& host, DaemonKind kind,
                                             const WallClock& clock) {
  const std::filesystem::path folder = host.directory() / "own-clock";
  const std::string name = fmt::format("trap-{}", name_of(kind));
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  auto written = write_text(
      folder / name, fmt::format("#!/bin/sh\nexport LD_PRELOAD={} TRAP_LAB_CLOCK={}\n"
                                 "exec {} \"$@\"\n",
                                 (program_directory() / "libtrap-lab-clock.so").string(),
                                 clock.path().string(), (program_directory() / name).string()));
  if (!written)
    return written.error();
  std::filesystem::permissions(folder / name, std::filesystem::perms::owner_all, failed);
  return folder;
}

std::optional<WallClock> take_clock(Scene& scene, DaemonKind kind) {
  const Host& host = scene.host(kind == DaemonKind::server  ? "trap"
                                : kind == DaemonKind::guard ? "service"
                                                            : "client");
  Daemon& daemon = daemon_of(scene, kind);
  WallClock clock{host};
  const auto folder = with_own_clock(host, kind, clock);
  scene.done(daemon.stop(), fmt::format("trap-{} stops", name_of(kind)));
  if (folder)
    daemon.run_from(*folder);
  if (!scene.check(static_cast<bool>(folder), "there is a clock that can be set",
                   "there is none") ||
      !scene.done(daemon.start(), "it starts with that"))
    return std::nullopt;
  return clock;
}

void play_steps(Scene& scene, DaemonKind kind, std::span<const int> hours,
                std::span<const Family> of) {
  const auto clock = take_clock(scene, kind);
  if (!clock)
    return;
  for (const int by : hours)
    for (const Family family : of)
      step(scene, kind, *clock, by * hour_s, family);
}

// One step of each kind that matters, unless all are asked for.
void clock_steps(Scene& scene) {
  constexpr int all_hours[] = {1, -1, 8, -8};
  const char* asked = std::getenv("TRAP_LAB_CLOCK_STEPS");
  if (!asked || std::string_view{asked} != "all")
    return play_steps(scene, DaemonKind::guard, std::span{all_hours}.first(1),
                      std::span{families}.first(1));
  for (const DaemonKind kind : {DaemonKind::server, DaemonKind::guard, DaemonKind::client}) {
    play_steps(scene, kind, all_hours, families);
    Daemon& daemon = daemon_of(scene, kind);
    scene.done(daemon.stop(), "it stops");
    daemon.run_from(program_directory());
    scene.done(daemon.start(), "and starts with the host's clock");
  }
}

const Registration register_clock_steps{{
    .name = "clock-steps",
    .goal = "the clock of a part's host is set by hours, and right again; all with "
            "TRAP_LAB_CLOCK_STEPS=all",
    .plan = {.relay = RelayKind::haproxy,
             .guards_trust = true,
             .server_keys = "announce_check_s = 2\n"},
    .play = clock_steps,
}};

} // namespace
} // namespace trap::lab
