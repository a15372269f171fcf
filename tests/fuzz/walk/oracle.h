// SPDX-License-Identifier: Apache-2.0
// The verdicts that docs/packet-walk.md allows for a frame, in one scene for each part. Nothing
// here comes from the programs.
#pragma once

#include <map>

#include "tests/fuzz/walk/reading.h"
#include "tests/support/test_constants.h"

namespace trap::walk {

// The entries of the scene's maps, for both families (tests/bpf/harness/layout.h names the fields).
test::Json scene_of(const std::string& part);

// Packets of the scene's connections, as seeds, besides those of the fixtures. An ICMP error has
// the packet that it quotes as `quoted`.
test::Json packets_of(const std::string& part);

class Oracle {
public:
  Oracle(std::string part, const test::TestConstants& constants);

  // Names of the verdicts that the page allows; the program gives one of them.
  Names allowed(const std::string& program, const Bytes& frame) const;

private:
  Bytes address(const char* role, int family) const;
  bool is(const End& end, const char* role, unsigned port, int family) const;
  std::uint32_t number(const char* name, int family) const;

  Names server(const Reading& reading, const Bytes& frame) const;
  Names server_segment(const Reading& reading, int service) const;
  Names server_ack(const Reading& reading, int service) const;
  int service_at(const Reading& reading) const;

  Names guard(const Reading& reading, const Bytes& frame) const;
  Names guard_syn(const Reading& reading) const;
  static Names guard_answerable(Names names, const Reading& reading, const Bytes& frame);
  Names guard_ticket(const Reading& reading, const Bytes& ticket) const;
  Names guard_reset(const Reading& reading) const;
  Names guard_flow(const Reading& reading) const;
  Names guard_icmp(const Bytes& frame) const;
  bool is_guard_flow(const End& client, const End& service) const;
  bool is_trusted(const Reading& reading) const;
  static bool is_in_pool(const Reading& reading);
  bool is_announced(const Reading& reading) const;

  Names client_outward(const Reading& reading, const Bytes& frame) const;
  Names client_syn(const Reading& reading, const Bytes& frame) const;
  Names client_inward(const Reading& reading, const Bytes& frame) const;
  Names client_answer(const Reading& reading, int connect) const;
  Names client_late_answer(const Reading& reading) const;
  Names client_target(const Reading& reading) const;
  Names client_icmp(const Bytes& frame, bool inward) const;

  const std::string part_;
  const test::TestConstants& constants_;
};

} // namespace trap::walk
