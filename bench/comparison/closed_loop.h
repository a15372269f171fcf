// SPDX-License-Identifier: Apache-2.0
// The closed loop on one core: a generator sends live frames into a veth, the responder behind it
// answers, and a sink beside the generator counts the answers. The kernel does all of it on the CPU
// of the thread that runs the generator, the last CPU, so the core's time is the whole cost. This
// process keeps to the first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lab/bpf/flood.h"
#include "lab/hosts/host.h"
#include "runtime/kernel/program.h"
#include "runtime/result.h"
#include "tests/support/packet.h"

struct trap_flood;

namespace trap::bench {

// From invented sources: SYNs, ACKs with a wrong cookie, SYNs at a guard. From clients with
// credentials: ACKs with a right cookie, SYNs with a right ticket.
enum class FloodKind { syn, ack_invalid, syn_uninvited, ack_valid, syn_ticketed };

struct Flood {
  FloodKind kind;
  int family;
};

// One run: packets sent, answers seen, time spent.
struct LoopRun {
  std::uint64_t sent = 0;
  std::uint64_t sent_in_all = 0; // with the attempts that were given up
  trap_flood_seen seen{};
  double core_ns = 0; // of the core: generator, responder and sink
  double wall_ns = 0;
};

// A responder's host: a namespace with eth0, at the other end of a veth from the generator's
// `interface`.
struct ResponderHost {
  lab::Host host;
  std::string interface;
  unsigned index = 0; // of the interface
};

class ClosedLoop {
public:
  // Makes the generator's host and loads its programs. The lab's session must have begun.
  static Result<std::unique_ptr<ClosedLoop>> build();
  ~ClosedLoop();
  ClosedLoop(const ClosedLoop&) = delete;
  ClosedLoop& operator=(const ClosedLoop&) = delete;

  // A host called `name` with the public addresses of tests/vectors/test_constants.json, a route
  // back to every source, and the sink in place.
  Result<ResponderHost> build_host(const std::string& name);

  // Credentials of the clients of ack_valid and syn_ticketed, exactly TRAP_FLOOD_CREDENTIALS.
  Result<void> set_credentials(const std::vector<trap_flood_credential>& credentials);

  // Repeats a run in which another CPU took part. An error if that happens too often, or if no
  // frames can be sent.
  Result<LoopRun> run(const ResponderHost& on, const Flood& flood, std::uint64_t packets);

private:
  ClosedLoop(lab::Host host, Program<trap_flood> programs, test::TestConstants constants);
  Result<LoopRun> try_run(const ResponderHost& on, const Flood& flood, std::uint64_t packets);
  Result<void> attach_sink(const ResponderHost& on);
  Result<void> prepare_order(const Flood& flood);

  lab::Host host_;
  Program<trap_flood> programs_;
  const test::TestConstants constants_;
  test::Bytes frame_;
  int hosts_ = 0;
};

} // namespace trap::bench
