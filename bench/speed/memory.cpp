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
#include "bench/harness/daemon_process.h"
#include "bench/harness/proc_numbers.h"
#include "bench/harness/value_or_throw.h"

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

double maps_kib(const fs::path& pins) {
  double kib = 0;
  for (const auto& entry : fs::directory_iterator(pins)) {
    const Fd object{bpf_obj_get(entry.path().c_str())};
    bpf_map_info map{};
    __u32 size = sizeof map;
    if (object && entry.path().filename().string().find("link-") == std::string::npos &&
        bpf_obj_get_info_by_fd(object.get(), &map, &size) == 0)
      kib += map_kib(object.get());
  }
  return kib;
}

Memory memory_of(const lab::Host& host) {
  return {number_in(fmt::format("/proc/{}/status", daemon_in(host)), "VmRSS"),
          maps_kib(host.bpf_directory() / "server")};
}

} // namespace

void measure_memory(ClosedLoop& loop, Report& report) {
  const ResponderHost on = loop.build_host("memory");
  const auto daemon = start_trap_server(on.host, reset_service());
  loop.run(on, {FloodKind::syn, 4}, warm_up);
  const Memory before = memory_of(on.host);
  for (const int family : {4, 6}) {
    const lab::Counters counters = value_or_throw(daemon->counters());
    const LoopRun run = loop.run(on, {FloodKind::syn, family}, flood_packets / 2);
    if (run.seen.answers[TRAP_FLOOD_SYN_ACK] < flood_packets / 2 - flood_packets / 2000) {
      std::string counted;
      for (const auto& [verdict, packets] :
           lab::difference(counters, value_or_throw(daemon->counters())))
        counted += fmt::format(", {} {}", verdict, packets);
      report.refuse("memory", fmt::format("{} answers to {} packets{}",
                                          run.seen.answers[TRAP_FLOOD_SYN_ACK], run.sent, counted));
      return;
    }
  }
  const Memory after = memory_of(on.host);
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

} // namespace trap::bench
