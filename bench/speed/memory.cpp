// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/comparison/responders.h"
#include "bench/harness/proc.h"

namespace trap::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t warm_up = 100'000, flood_packets = 10'000'000;
// The daemon answers the bench's own questions between the readings, and its allocator takes memory
// for that.
constexpr double allowance_kib = 256;

struct Memory {
  double resident_kib = 0;
  double maps_kib = 0;
};

Result<double> maps_kib(const fs::path& pins) {
  double kib = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(pins, error)) {
    const Fd object{bpf_obj_get(entry.path().c_str())};
    bpf_map_info map{};
    __u32 size = sizeof map;
    if (!object || entry.path().filename().string().find("link-") != std::string::npos ||
        bpf_obj_get_info_by_fd(object.get(), &map, &size) != 0)
      continue;
    const auto taken = map_kib(object.get());
    if (!taken)
      return taken;
    kib += *taken;
  }
  if (error)
    return Error{fmt::format("cannot read {}: {}", pins.string(), error.message())};
  return kib;
}

Result<Memory> memory_of(const lab::Host& host) {
  const auto pid = daemon_in(host);
  if (!pid)
    return pid.error();
  const auto resident = number_in(fmt::format("/proc/{}/status", *pid), "VmRSS");
  if (!resident)
    return resident.error();
  const auto maps = maps_kib(host.bpf_directory() / "server");
  if (!maps)
    return maps.error();
  return Memory{*resident, *maps};
}

// Every SYN must have been answered, or the daemon did not bear the whole flood.
Result<void> flood_with_syns(ClosedLoop& loop, const ResponderHost& on, const lab::Daemon& daemon,
                             int family) {
  const auto before = daemon.counters();
  if (!before)
    return before.error();
  const auto run = loop.run(on, {FloodKind::syn, family}, flood_packets / 2);
  if (!run)
    return run.error();
  const std::uint64_t answers = run->seen.answers[TRAP_FLOOD_SYN_ACK];
  if (answers >= flood_packets / 2 - flood_packets / 2000)
    return {};
  const auto after = daemon.counters();
  if (!after)
    return after.error();
  std::string counted;
  for (const auto& [verdict, packets] : lab::difference(*before, *after))
    counted += fmt::format(", {} {}", verdict, packets);
  return Error{fmt::format("{} answers to {} packets{}", answers, run->sent, counted)};
}

void tell(const Memory& before, const Memory& after, Report& report) {
  std::printf(
      "memory after %llu million SYNs: resident %.0f KiB (was %.0f), maps %.0f KiB (were %.0f)\n",
      static_cast<unsigned long long>(flood_packets / 1'000'000), after.resident_kib,
      before.resident_kib, after.maps_kib, before.maps_kib);
  const auto line = [&](const char* metric, double then, double now) {
    Line made{"memory-syn-flood",  "trap-reset",       0, metric, "KiB", now,
              std::min(then, now), std::max(then, now)};
    made.more = {{"before", then}, {"packets", flood_packets}};
    report.add(std::move(made));
  };
  line("resident", before.resident_kib, after.resident_kib);
  line("maps", before.maps_kib, after.maps_kib);
  report.add(Target{"memory: resident size grown by 10 million SYNs",
                    after.resident_kib - before.resident_kib, Bound::at_most, allowance_kib,
                    "KiB"});
  report.add(Target{"memory: maps grown by 10 million SYNs", after.maps_kib - before.maps_kib,
                    Bound::at_most, 0, "KiB"});
}

} // namespace

Result<void> measure_memory(ClosedLoop& loop, Report& report) {
  const auto on = loop.build_host("memory");
  if (!on)
    return on.error();
  const auto daemon = start_trap_server(on->host, reset_service());
  if (!daemon)
    return daemon.error();
  if (auto warm = loop.run(*on, {FloodKind::syn, 4}, warm_up); !warm)
    return warm.error();
  const auto before = memory_of(on->host);
  if (!before)
    return before.error();
  for (const int family : {4, 6})
    if (auto flooded = flood_with_syns(loop, *on, **daemon, family); !flooded)
      return flooded;
  const auto after = memory_of(on->host);
  if (!after)
    return after.error();
  tell(*before, *after, report);
  return {};
}

} // namespace trap::bench
