// SPDX-License-Identifier: Apache-2.0
// Asks TRAP servers for redirects anew: a SYN of the daemon's own from the address that the
// redirect is for, remembered in the map `pending` as a renewal. What follows is the programs' work
// as in any handshake, up to the redirect; no connection is made of it (docs/adr/0025-renewal.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/daemon/redirects/renewal_plan.h"
#include "runtime/fd.h"
#include "runtime/net/reserved_port.h"
#include "runtime/result.h"

namespace trap::client {

class Renewer {
public:
  // Raw sockets for both families; a host without IPv6 does without.
  Result<void> open();

  // For every second: sends what is due.
  void tick(int redirects_fd, int pending_fd, std::uint64_t now_ns);
  void stop(int pending_fd);

  const RenewalCounts& counts() const { return plan_.counts(); }

private:
  // A handshake under way. Its port is held as long; a host behind this one has no port here.
  struct Talk {
    trap_tuple tuple = {};
    std::uint64_t since_ns = 0;
    std::optional<ReservedPort> port;
  };

  void ask(const trap_redirect_key& key, int pending_fd, std::uint64_t now_ns);
  bool send(const Talk& talk, std::uint32_t isn) const;
  void forget(const Talk& talk, int pending_fd) const;

  RenewalPlan plan_;
  std::vector<Talk> talks_;
  Fd raw_v4_, raw_v6_;
};

} // namespace trap::client
