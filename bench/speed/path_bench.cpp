// SPDX-License-Identifier: Apache-2.0
// A run is BPF_PROG_TEST_RUN of a replay program, which restores the frame and tail-calls the
// responder. Restoring costs the same for all, so: ns of a responder = (its run - the empty
// program's run of the same round) + the empty program's run without replay.
#include "bench/speed/path_bench.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "bench/harness/replayer.h"
#include "bench/harness/use_rigs.h"
#include "client/maps.h"
#include "guard/maps.h"
#include "server/daemon/watch/own_macs.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::bench {
namespace {

using test::Object;

// Redirects fill a ring buffer of 8,192 records, which must not overflow between two readings. Each
// call costs some 20 ms of waiting in the kernel, so there are few of them.
constexpr int redirects_of_a_call = 4000;
constexpr int redirects_of_a_run = 20'000;

// The rigs' services all lie in slots below this.
constexpr std::uint32_t slots_of_the_rigs = 32;

struct Responder {
  std::string name;
  int program_fd;
  std::vector<double> ns; // a run, one value a round
};

bool is_at_xdp(const Path& path) {
  return path.part != "client" && !path.program.starts_with("trap_guard_egress");
}

} // namespace

// Uses the rigs in every function, and throws as they do: PathBench wraps each call.
class PathBench::Bench {
public:
  Bench(const Path& path, int family, Replayer replayer)
      : path_(path), family_(family), replayer_(std::move(replayer)) {}

  Result<void> load(TestedObject tested) {
    frame_ = test::build_packet(path_.packet, family_, constants_);
    load_tested(tested);
    if (auto set = replayer_.set(frame_, {}); !set)
      return set;
    responders_.push_back({"empty", replayer_.floors().program_fd(replayer_.empty()), {}});
    if (is_at_xdp(path_))
      responders_.push_back({"send-back", replayer_.floors().program_fd("send_back_xdp"), {}});
    responders_.push_back({"trap", tested_->program_fd(path_.program), {}});
    return {};
  }

  void run(const PathEffort& wanted) {
    const bool fills_ring = path_.verdict == TRAP_REPLY_REDIRECT;
    const PathEffort effort = {
        wanted.rounds, fills_ring ? std::min(wanted.packets, redirects_of_a_run) : wanted.packets,
        wanted.passes};
    packets_of_a_call_ = fills_ring ? redirects_of_a_call : effort.packets;
    time_runs(responders_.back(), packets_of_a_call_); // warm up
    for (int round = 0; round < effort.rounds; round++) {
      alone_.push_back(time_alone(effort.packets));
      for (Responder& responder : responders_)
        responder.ns.push_back(time_runs(responder, effort.packets));
    }
    sent_ +=
        static_cast<std::uint64_t>(effort.packets) * static_cast<std::uint64_t>(effort.rounds) +
        static_cast<std::uint64_t>(packets_of_a_call_);
  }

  [[nodiscard]] std::string name() const { return fmt::format("{} ipv{}", path_.name, family_); }

  Result<std::vector<PathTime>> results() {
    if (auto taken = check_path(); !taken)
      return taken.error();
    std::vector<PathTime> all;
    for (const Responder& responder : responders_) {
      std::vector<double> ns;
      for (std::size_t round = 0; round < alone_.size(); round++)
        ns.push_back(alone_[round] + responder.ns[round] - responders_[0].ns[round]);
      all.push_back({path_.name, responder.name, family_, spread_of(ns), ns});
    }
    return all;
  }

private:
  static const test::Rig& rig_of(const std::string& part) {
    return part == "server"  ? test::server_rig()
           : part == "guard" ? test::guard_rig()
                             : test::client_rig();
  }

  void load_tested(TestedObject tested) {
    const test::Rig& rig = rig_of(path_.part);
    const test::Json& moment = constants_.moment("now");
    if (tested == TestedObject::shared) {
      tested_ = &test::fresh_object(rig, constants_);
    } else {
      own_ = rig.load(false, false);
      tested_ = own_.get();
      rig.configure(*tested_, constants_);
      rig.set_time(*tested_, constants_, moment);
    }
    if (path_.part == "guard")
      clear_pools();
    if (path_.part == "guard" && !path_.trusts)
      clear_trust();
    if (path_.part == "client" && path_.before.empty())
      tested_->put("remotes", std::uint32_t{0}, trap_remotes{}); // the rig has every bit set
    if (path_.part == "server") {
      test::trust_known(*tested_);
      know_own_macs();
    }
    for (const auto& map : path_.before.items()) {
      for (const test::Json& entry : map.value()) {
        const test::DescribedEntry described =
            test::describe_entry(map.key(), entry, family_, constants_, moment["unix_s"]);
        tested_->put(map.key(), described.key, described.value);
      }
    }
  }

  // As every host does: a look at them is part of an answer's price. The frames are for loopback.
  void know_own_macs() {
    auto macs = tested_->get<trap_own_macs>("own_macs", std::uint32_t{0});
    server::OwnMacs().follow(macs, std::set<LinkAddress>{LinkAddress{}});
    tested_->put("own_macs", std::uint32_t{0}, macs);
  }

  // The rig has a pool, as few guards do.
  void clear_pools() {
    auto settings = tested_->get<trap_guard_settings>("settings", std::uint32_t{0});
    settings.flags &= ~TRAP_GUARD_POOLS;
    tested_->put("settings", std::uint32_t{0}, settings);
  }

  void clear_trust() {
    auto settings = tested_->get<trap_guard_settings>("settings", std::uint32_t{0});
    settings.flags &= ~TRAP_GUARD_TRUSTS;
    tested_->put("settings", std::uint32_t{0}, settings);
  }

  // Nanoseconds of CPU per packet. The records of the ring buffer are read outside the measured
  // time.
  double time_runs(const Responder& responder, int packets) {
    double spent_ns = 0;
    for (int done = 0; done < packets; done += packets_of_a_call_) {
      spent_ns += replayer_.run(responder.program_fd, packets_of_a_call_);
      if (path_.part == "server")
        tested_->entries("redirected");
    }
    return spent_ns / packets;
  }

  // The empty program without replay, and without the cost of a call.
  double time_alone(int packets) {
    const test::Object& floors = replayer_.floors();
    const double start_ns = thread_cpu_ns();
    floors.run(replayer_.empty(), frame_, 1);
    const double middle_ns = thread_cpu_ns();
    floors.run(replayer_.empty(), frame_, packets + 1);
    return std::max(0.1, (thread_cpu_ns() - middle_ns - (middle_ns - start_ns)) / packets);
  }

  // Figures of another path would be worse than none.
  Result<void> check_path() {
    std::uint64_t counted = 0;
    bpf_map_info counters = {};
    __u32 bytes = sizeof counters;
    if (bpf_obj_get_info_by_fd(tested_->map_fd("counters"), &counters, &bytes) != 0)
      return Error{"its program has no counters"};
    const std::uint32_t slots =
        std::min(counters.max_entries / TRAP_VERDICT_SLOTS, slots_of_the_rigs);
    for (std::uint32_t slot = 0; slot < slots; slot++) {
      const auto verdicts = tested_->counters(slot);
      counted += path_.verdict == TRAP_VERDICT_COUNT
                     ? std::accumulate(verdicts.begin(), verdicts.end(), std::uint64_t{0})
                     : verdicts[path_.verdict];
    }
    if (path_.verdict == TRAP_VERDICT_COUNT && counted != 0)
      return Error{fmt::format("{} packets were counted, so they took another path", counted)};
    if (path_.verdict != TRAP_VERDICT_COUNT && counted != sent_)
      return Error{fmt::format("{} of {} packets took the path that is measured", counted, sent_)};
    return {};
  }

  const Path& path_;
  const int family_;
  Replayer replayer_;
  int packets_of_a_call_ = 0;
  std::uint64_t sent_ = 0;
  std::vector<Responder> responders_;
  std::vector<double> alone_; // ns of the empty program without replay, one value a round
  const test::TestConstants constants_;
  test::Bytes frame_;
  std::unique_ptr<Object> own_; // null where the object is shared
  Object* tested_ = nullptr;
};

PathBench::PathBench(std::unique_ptr<Bench> bench) : bench_(std::move(bench)) {}
PathBench::PathBench(PathBench&& other) noexcept = default;
PathBench& PathBench::operator=(PathBench&& other) noexcept = default;
PathBench::~PathBench() = default;

Result<PathBench> PathBench::load(const Path& path, int family, TestedObject tested) {
  return use_rigs([&]() -> Result<PathBench> {
    auto replayer = Replayer::load(is_at_xdp(path));
    if (!replayer)
      return replayer.error();
    auto bench = std::make_unique<Bench>(path, family, std::move(*replayer));
    if (auto loaded = bench->load(tested); !loaded)
      return loaded.error();
    return PathBench{std::move(bench)};
  });
}

std::string PathBench::name() const {
  return bench_->name();
}

Result<void> PathBench::run(const PathEffort& effort) {
  return use_rigs([&]() -> Result<void> {
    bench_->run(effort);
    return {};
  });
}

Result<std::vector<PathTime>> PathBench::results() {
  return use_rigs([&] { return bench_->results(); });
}

} // namespace trap::bench
