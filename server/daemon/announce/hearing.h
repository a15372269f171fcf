// SPDX-License-Identifier: Apache-2.0
// Do guards hear announcements? A guard answers none of them, so the server announces the source of
// its announcements as a client, and connects from there: with the guard deaf, the SYN is dropped.
// A guard that only monitors, or trusts that source, lets it in all the same.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/fd.h"
#include "server/daemon/plan/server_plan.h"
#include "server/daemon/watch/health.h"

namespace trap::server {

enum class Hearing {
  unknown, // not checked yet, or this host cannot connect from the source
  heard,
  unheard,
};

const char* hearing_name(Hearing hearing);

class HearingChecks {
public:
  // An announced client may come for this long, and clock_skew_s of the guard longer.
  static constexpr std::uint16_t lifetime_s = 10;

  // May a source be announced for a check? Not if health checks would then depend on it.
  // `scope`: of what an announcement to that backend's guard admits.
  using MayAnnounce =
      std::function<bool(const trap_address& source, const Endpoint& backend, std::uint8_t scope)>;
  using Announce = std::function<bool(const trap_address& source, std::uint32_t backend)>;

  // Another configuration; the results for pairs of source and backend that stay are kept. Services
  // whose backends' health is not checked are left out.
  void follow(const ServerConfig& config, const ServerPlan& plan);

  // Looks at checks under way and starts those that are due and allowed; `announce` goes before
  // each. True if a guard is heard from again: it missed announcements. now_ns: CLOCK_MONOTONIC.
  bool advance(std::uint64_t now_ns, const MayAnnounce& may_announce, const Announce& announce);

  Hearing hearing(const trap_address& source, const Endpoint& backend) const;

  // A line for each pair that is not heard. A backend that is known to be down has its own line.
  std::vector<std::string> problems(const std::function<Health(const Endpoint&)>& health_of) const;

private:
  using Pair = std::pair<Endpoint, Endpoint>; // the source with port 0, the backend

  struct Ear {
    std::uint32_t backend = 0; // index
    Endpoint reached_at;
    std::string guard;
    std::uint8_t scope = 0;
    std::uint64_t due_ns = 0;
    std::uint64_t started_ns = 0; // of the check under way
    Fd connection;                // open: a check is under way
    unsigned failures = 0;        // in a row
    Hearing result = Hearing::unknown;
    bool is_scheduled = false;
  };

  void schedule_new(std::uint64_t now_ns);
  bool finish_checks(std::uint64_t now_ns);
  static bool note(Ear& ear, int error_number);
  std::uint64_t timeout_ns() const;

  std::map<Pair, Ear> ears_;
  std::uint64_t interval_ns_ = 0;
};

} // namespace trap::server
