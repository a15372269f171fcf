// SPDX-License-Identifier: Apache-2.0
// Tries this server's tickets at its guards: a SYN of the daemon's own with a ticket for this host.
// A guard of another scope, key or clock drops it, as it would drop the SYNs of all clients that
// are redirected there, and nothing else would tell this host.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "runtime/fd.h"
#include "runtime/net/reserved_port.h"
#include "runtime/packet/handshake.h"
#include "server/daemon/plan/server_plan.h"
#include "server/daemon/watch/health.h"

namespace trap::server {

enum class TicketResult {
  untried,
  taken,      // the guard says that it checked the ticket
  unchecked,  // answered, but no guard says that it checked the ticket
  unanswered, // refused, or the backend is out of reach
  impossible, // not from this host
};

const char* ticket_result_name(TicketResult result);

class TicketCheck {
public:
  // A ticket for a client's address at a backend; none without a key.
  using MakeTicket = std::function<std::optional<trap_ticket>(const PlannedBackend& backend,
                                                              const trap_address& client)>;

  // Looks at the tries under way and starts those that are due: of the backends of `plan` whose
  // health is checked. For every second; a try sends one SYN or two, and the next is due after a
  // minute, or after a quarter of one if there was no answer.
  void advance(const ServerPlan& plan, std::uint64_t now_ns, const MakeTicket& make_ticket);

  TicketResult result(const trap_backend& backend) const;

private:
  struct Try {
    ReservedPort port;
    Fd raw;
    HandshakeSegment syn;
    trap_ticket ticket = {};
    std::uint64_t began_ns = 0;
    std::size_t sent = 0;
  };
  struct Trial {
    TicketResult result = TicketResult::untried;
    std::uint64_t due_ns = 0;
    std::optional<Try> under_way;
  };

  void follow(const ServerPlan& plan);
  static Result<Try> begin(const PlannedBackend& backend, std::uint64_t now_ns,
                           const MakeTicket& make_ticket);
  static bool send(const Try& at, const HandshakeSegment& segment);
  static std::optional<TicketResult> look_at(Try& at, std::uint64_t now_ns);
  static void conclude(Trial& trial, TicketResult result, std::uint64_t now_ns);

  std::map<BackendKey, Trial> trials_;
};

// The backends of `plan` that clients are locked out from, one line each.
std::vector<std::string> ticket_problems(const ServerPlan& plan, const TicketCheck& check,
                                         const std::function<Health(const Endpoint&)>& health_of);

} // namespace trap::server
