// SPDX-License-Identifier: Apache-2.0
// Both responders in turns at one interface: the guard's link gets the other program and its own
// again. A host without any XDP program would be no fair comparison, because a veth loses its
// segmentation offload to the first program.
#include "bench/speed/measurements.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bench/speed/transfer.h"
#include "lab/deployment/deployment.h"
#include "lab_pass.skel.h"
#include "runtime/kernel/program.h"

namespace trap::bench {
namespace {

using lab::Family;

constexpr double least_throughput = 0.95;
constexpr const char* passing = "pass-through";
constexpr const char* guarding = "trap-guard";

// The XDP hook of the service's host, taken by the guard's pinned link.
class Hook {
public:
  static Result<Hook> open(const lab::Host& service) {
    auto pass = Program<lab_pass>::load();
    if (!pass)
      return pass.error();
    Fd link{bpf_obj_get((service.bpf_directory() / "guard/link-eth0").c_str())};
    bpf_link_info info = {};
    __u32 length = sizeof info;
    if (!link || bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0)
      return Error{"cannot open the guard's link: " + error_text(errno)};
    return Hook{std::move(link), Fd{bpf_prog_get_fd_by_id(info.prog_id)}, std::move(*pass)};
  }

  [[nodiscard]] Result<void> give_to(std::string_view responder) const {
    const int program =
        responder == guarding ? guard_.get() : bpf_program__fd(pass_->progs.lab_pass);
    if (bpf_link_update(link_.get(), program, nullptr) != 0)
      return Error{"cannot swap the program at the service's host: " + error_text(errno)};
    return {};
  }

private:
  Hook(Fd link, Fd guard, Program<lab_pass> pass)
      : link_(std::move(link)), guard_(std::move(guard)), pass_(std::move(pass)) {}
  Fd link_, guard_;
  Program<lab_pass> pass_;
};

lab::DeploymentPlan plan_of_bench() {
  lab::DeploymentPlan plan;
  plan.applications = true;
  plan.guards_trust = true; // health checks
  return plan;
}

// The guard must have counted the segments of its own transfer, many more than those of health
// checks, and none of the other's.
Result<void> check_path(std::string_view responder, const lab::Counters& moved) {
  constexpr std::uint64_t least = 1000;
  const std::uint64_t seen = lab::count_of(moved, "pass-flow");
  if (responder == guarding ? seen < least : seen != 0)
    return Error{fmt::format("{}: the guard counted {} segments of flows", responder, seen)};
  return {};
}

Result<void> measure_load(lab::Deployment& trap, const Hook& hook, const Load& load, int rounds,
                          Report& report) {
  const auto run = [&](std::string_view responder) -> Result<Transfer> {
    if (auto given = hook.give_to(responder); !given)
      return given.error();
    const auto before = trap.guard().counters();
    if (!before)
      return before.error();
    auto done = transfer(trap.topology().host("client"),
                         lab::addresses_of("trap").address(load.family), load);
    if (!done)
      return done;
    const auto after = trap.guard().counters();
    if (!after)
      return after.error();
    if (auto right = check_path(responder, lab::difference(*before, *after)); !right)
      return right.error();
    return done;
  };
  return compare_transfers({"guard-throughput", passing, guarding, least_throughput}, load, rounds,
                           run, report);
}

} // namespace

Result<void> measure_guard(const ClientEffort& effort, Report& report) {
  const auto topology = lab::Topology::build();
  if (!topology)
    return topology.error();
  auto trap = lab::Deployment::start(*topology, plan_of_bench());
  if (!trap)
    return trap.error();
  // Past the other program, the target of a redirect says no CONSENT.
  if (auto led = follow_without_consent(trap->client()); !led)
    return led;
  const auto iperf = lab::start_iperf(topology->host("service"));
  if (!iperf)
    return iperf.error();
  const auto hook = Hook::open(topology->host("service"));
  if (!hook)
    return hook.error();
  for (const Family family : effort.families)
    for (const int parallel : effort.streams)
      for (const bool down : {true, false})
        if (auto measured =
                measure_load(*trap, *hook, {family, parallel, down}, effort.transfers, report);
            !measured)
          return measured;
  return {};
}

} // namespace trap::bench
