// SPDX-License-Identifier: Apache-2.0
// The closed loop on one core: a generator sends live frames into a veth, the responder behind it
// answers, and a sink beside the generator counts the answers. The kernel does all of it on the CPU
// of the thread that runs the generator, so the core's time is the whole cost.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/bpf/flood.h"
#include "lab/hosts/host.h"
#include "runtime/kernel/program.h"
#include "tests/support/packet.h"

struct trap_flood;

namespace trap::bench {

// Of invented sources: SYNs, ACKs with a wrong cookie, SYNs at a guard. Of clients who were
// answered: ACKs with their cookie, SYNs with their ticket.
enum class FloodKind { syn, ack_invalid, syn_uninvited, ack_valid, syn_ticketed };

struct Flood {
  FloodKind kind;
  int family;
};

// What one run sent and saw.
struct LoopRun {
  std::uint64_t sent = 0;
  std::uint64_t sent_in_all = 0; // with the attempts that were given up
  trap_flood_seen seen{};
  double core_ns = 0; // of the core: generator, responder and sink
  double wall_ns = 0;
};

// CPUs: the last one is measured, this process keeps to the first.
int measured_cpu();
void leave_measured_cpu();

// What starts while it lives runs on the measured CPU: what a responder sends by itself must not
// wake the veths on another one, which would then poll them in parallel, unaccounted and with full
// rings.
class OnMeasuredCpu {
public:
  OnMeasuredCpu();
  ~OnMeasuredCpu();
  OnMeasuredCpu(const OnMeasuredCpu&) = delete;
  OnMeasuredCpu& operator=(const OnMeasuredCpu&) = delete;
};

// A responder's host: a namespace with eth0, at the other end of a veth from the generator's
// `interface`.
struct Stand {
  lab::Host host;
  std::string interface;
  unsigned index = 0; // of the interface
};

class ClosedLoop {
public:
  // Makes the generator's host. The lab's session must have begun.
  ClosedLoop();
  ~ClosedLoop();
  ClosedLoop(const ClosedLoop&) = delete;
  ClosedLoop& operator=(const ClosedLoop&) = delete;

  // A host called `name` with the public addresses of tests/vectors/test_constants.json, a route
  // back to every source, and the sink in place.
  Stand build_stand(const std::string& name);

  // What the clients of ack_valid and syn_ticketed have; there must be TRAP_FLOOD_PROOFS of them.
  void set_proofs(const std::vector<trap_flood_proof>& proofs);

  // Repeats a run in which another CPU took part.
  LoopRun run(const Stand& stand, const Flood& flood, std::uint64_t packets);

private:
  LoopRun try_run(const Stand& stand, const Flood& flood, std::uint64_t packets);
  void attach_sink(const Stand& stand);
  void prepare_order(const Flood& flood);

  lab::Host host_;
  Program<trap_flood> programs_;
  const test::TestConstants constants_;
  test::Bytes frame_;
  int stands_ = 0;
};

} // namespace trap::bench
