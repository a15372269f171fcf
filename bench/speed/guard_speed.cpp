// SPDX-License-Identifier: Apache-2.0
// Both responders in turns at one interface: the guard's link gets the other program and its own
// again. A host without any XDP program would be no fair comparison, because a veth loses its
// segmentation offload to the first program.
#include "bench/speed/measurements.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bench/harness/value_or_throw.h"
#include "bench/speed/transfer.h"
#include "lab/deployment/deployment.h"
#include "lab_pass.skel.h"

namespace trap::bench {
namespace {

using lab::Family;

constexpr double least_throughput = 0.95;
constexpr const char* passing = "pass-through";
constexpr const char* guarding = "trap-guard";

// The XDP hook of the service's host, taken by the guard's pinned link.
class Hook {
public:
  explicit Hook(const lab::Host& service)
      : link_(bpf_obj_get((service.bpf_directory() / "guard/link-eth0").c_str())),
        pass_(lab_pass__open_and_load()) {
    bpf_link_info info = {};
    __u32 length = sizeof info;
    if (!link_ || pass_ == nullptr || bpf_obj_get_info_by_fd(link_.get(), &info, &length) != 0)
      throw std::runtime_error("cannot open the guard's link or load another program: " +
                               error_text(errno));
    guard_ = Fd{bpf_prog_get_fd_by_id(info.prog_id)};
  }
  ~Hook() { lab_pass__destroy(pass_); }
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  void give_to(std::string_view responder) const {
    const int program =
        responder == guarding ? guard_.get() : bpf_program__fd(pass_->progs.lab_pass);
    if (bpf_link_update(link_.get(), program, nullptr) != 0)
      throw std::runtime_error("cannot swap the program at the service's host: " +
                               error_text(errno));
  }

private:
  Fd link_, guard_;
  lab_pass* pass_;
};

lab::DeploymentPlan plan_of_bench() {
  lab::DeploymentPlan plan;
  plan.applications = true;
  plan.guards_trust = true; // health checks
  return plan;
}

// The guard must have counted the segments of its own transfer, many more than those of health
// checks, and none of the other's.
void check_path(std::string_view responder, const lab::Counters& moved) {
  constexpr std::uint64_t least = 1000;
  const std::uint64_t seen = lab::count_of(moved, "pass-flow");
  if (responder == guarding ? seen < least : seen != 0)
    throw std::runtime_error(
        fmt::format("{}: the guard counted {} segments of flows", responder, seen));
}

void measure_load(lab::Deployment& trap, const Hook& hook, const Load& load, int rounds,
                  Report& report) {
  const auto run = [&](std::string_view responder) {
    hook.give_to(responder);
    const lab::Counters before = value_or_throw(trap.guard().counters());
    const Transfer done = transfer(trap.topology().host("client"),
                                   lab::addresses_of("trap").address(load.family), load);
    check_path(responder, lab::difference(before, value_or_throw(trap.guard().counters())));
    return done;
  };
  compare_transfers({"guard-throughput", passing, guarding, least_throughput}, load, rounds, run,
                    report);
}

} // namespace

void measure_guard(int transfers, const std::vector<int>& streams, Report& report) {
  const lab::Topology topology = value_or_throw(lab::Topology::build());
  lab::Deployment trap = value_or_throw(lab::Deployment::start(topology, plan_of_bench()));
  const lab::Process iperf = value_or_throw(lab::start_iperf(topology.host("service")));
  const Hook hook(topology.host("service"));
  for (const Family family : lab::families)
    for (const int parallel : streams)
      for (const bool down : {true, false})
        measure_load(trap, hook, {family, parallel, down}, transfers, report);
}

} // namespace trap::bench
