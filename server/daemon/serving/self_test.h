// SPDX-License-Identifier: Apache-2.0
// A handshake of the daemon's own, which takes the way of those that TRAP completes: from behind
// the XDP program of an interface through tc, bridges and netfilter into the stack. There a
// listener of the daemon takes the connection in place of the service, which notices nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/fd.h"
#include "runtime/kernel/program.h"
#include "runtime/kernel/wire_watch.h"
#include "server/daemon/serving/assigner.h"
#include "server/daemon/serving/shortfall.h"
#include "server/daemon/serving/test_path.h"

struct trap_inject;

namespace trap::server {

class SelfTest {
public:
  SelfTest();
  ~SelfTest();
  SelfTest(const SelfTest&) = delete;
  SelfTest& operator=(const SelfTest&) = delete;

  // Without it, or if it fails, every result is unknown.
  void open();

  // Takes well under a millisecond, and up to 60 ms if the handshake is lost. `at_tc`: the
  // program is on the way, and is to let the test alone. `client`: the address that it seems to
  // come from; otherwise a neighbour's. That host gets the stack's answer to a SYN if the
  // handshake is lost.
  TestResult run(const std::string& interface, const Endpoint& service, const Assigner& assigner,
                 bool at_tc, const std::optional<trap_address>& client = {});

  // The reason why there are no tests, or why a handshake that is lost cannot be told from a way
  // that nothing takes: results are unknown. Empty if there is none.
  const std::string& problem() const { return problem_; }

private:
  struct Handshake;

  Result<void> prepare();
  void load_watch();
  bool inject(const TestPath& path, const Segment& segment, const Bytes& metadata) const;
  bool arrives(const TestPath& path, const Handshake& handshake) const;
  std::optional<bool> is_answered(const TestPath& path, const Handshake& handshake, std::uint8_t by,
                                  const Bytes& metadata_of_syn);

  Program<trap_inject> program_;
  std::unique_ptr<WireWatch> watch_; // attached only while an answer is waited for
  std::string problem_;
  Fd ipv4_listener_, ipv6_listener_;
};

} // namespace trap::server
