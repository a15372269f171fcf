// SPDX-License-Identifier: Apache-2.0
// A run is BPF_PROG_TEST_RUN of a replay program, which restores the frame and tail-calls the
// responder. What restoring costs is the same for all, so: ns of a responder = (its run - the empty
// program's run of the same round) + what the empty program costs by itself.
#include "bench/speed/measure.h"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "bench/harness/replayer.h"
#include "client/maps.h"
#include "guard/maps.h"
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

} // namespace

class PathBench::Bench {
public:
  Bench(const Experiment& experiment, int family)
      : experiment_(experiment), family_(family), is_xdp_(experiment.part != "client"),
        replayer_(is_xdp_) {
    frame_ = test::build_packet(experiment.packet, family, constants_);
    load_tested();
    replayer_.set(frame_, {});
    responders_.push_back({"empty", replayer_.floors().program_fd(replayer_.empty()), {}});
    if (is_xdp_)
      responders_.push_back({"send-back", replayer_.floors().program_fd("send_back_xdp"), {}});
    responders_.push_back({"trap", tested_->program_fd(experiment_.program), {}});
  }

  void run(const Effort& wanted) {
    const bool fills_ring = experiment_.verdict == TRAP_REPLY_REDIRECT;
    const Effort effort = {
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

  std::vector<Result> results() {
    check_path();
    std::vector<Result> all;
    for (const Responder& responder : responders_) {
      std::vector<double> ns;
      for (std::size_t round = 0; round < alone_.size(); round++)
        ns.push_back(alone_[round] + responder.ns[round] - responders_[0].ns[round]);
      all.push_back({experiment_.name, responder.name, family_, spread_of(ns), ns});
    }
    return all;
  }

private:
  static const test::Rig& rig_of(const std::string& part) {
    return part == "server"  ? test::server_rig()
           : part == "guard" ? test::guard_rig()
                             : test::client_rig();
  }

  void load_tested() {
    const test::Rig& rig = rig_of(experiment_.part);
    const test::Json& moment = constants_.moment("now");
    tested_ = rig.load(false, false);
    rig.configure(*tested_, constants_);
    rig.set_time(*tested_, constants_, moment);
    if (experiment_.part == "guard" && !experiment_.trusts)
      trust_nobody();
    if (experiment_.part == "client" && experiment_.before.empty())
      tested_->put("remotes", std::uint32_t{0}, trap_remotes{}); // the rig has every bit set
    if (experiment_.part == "server")
      test::trust_known(*tested_);
    for (const auto& map : experiment_.before.items()) {
      for (const test::Json& entry : map.value()) {
        const test::DescribedEntry described =
            test::describe_entry(map.key(), entry, family_, constants_, moment["unix_s"]);
        tested_->put(map.key(), described.key, described.value);
      }
    }
  }

  void trust_nobody() {
    auto settings = tested_->get<trap_guard_settings>("settings", std::uint32_t{0});
    settings.flags &= ~TRAP_GUARD_TRUSTS;
    tested_->put("settings", std::uint32_t{0}, settings);
  }

  // Nanoseconds of CPU a run; the records of the ring buffer are read outside of the measured time.
  double time_runs(const Responder& responder, int packets) {
    double spent_ns = 0;
    for (int done = 0; done < packets; done += packets_of_a_call_) {
      spent_ns += replayer_.run(responder.program_fd, packets_of_a_call_);
      if (experiment_.part == "server")
        tested_->entries("redirected");
    }
    return spent_ns / packets;
  }

  // Without what a call costs by itself.
  double time_alone(int packets) {
    const test::Object& floors = replayer_.floors();
    const double start_ns = thread_cpu_ns();
    floors.run(replayer_.empty(), frame_, 1);
    const double middle_ns = thread_cpu_ns();
    floors.run(replayer_.empty(), frame_, packets + 1);
    return std::max(0.1, (thread_cpu_ns() - middle_ns - (middle_ns - start_ns)) / packets);
  }

  // A measurement of another path than the one that it is named for is worse than none.
  void check_path() {
    std::uint64_t counted = 0;
    bpf_map_info counters = {};
    __u32 bytes = sizeof counters;
    if (bpf_obj_get_info_by_fd(tested_->map_fd("counters"), &counters, &bytes) != 0)
      throw std::runtime_error(experiment_.name + ": no counters");
    const std::uint32_t slots =
        std::min(counters.max_entries / TRAP_VERDICT_SLOTS, slots_of_the_rigs);
    for (std::uint32_t slot = 0; slot < slots; slot++)
      counted += tested_->counters(slot)[experiment_.verdict];
    if (counted != sent_)
      throw std::runtime_error(experiment_.name + ": " + std::to_string(counted) + " of " +
                               std::to_string(sent_) + " packets took the path that is measured");
  }

  const Experiment& experiment_;
  const int family_;
  const bool is_xdp_;
  Replayer replayer_;
  int packets_of_a_call_ = 0;
  std::uint64_t sent_ = 0;
  std::vector<Responder> responders_;
  std::vector<double> alone_; // what the empty program costs by itself, one value a round
  const test::TestConstants constants_;
  test::Bytes frame_;
  std::unique_ptr<Object> tested_;
};

PathBench::PathBench(const Experiment& experiment, int family)
    : bench_(std::make_unique<Bench>(experiment, family)) {}
PathBench::~PathBench() = default;

void PathBench::run(const Effort& effort) {
  bench_->run(effort);
}

std::vector<Result> PathBench::results() {
  return bench_->results();
}

} // namespace trap::bench
