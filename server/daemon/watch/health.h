// SPDX-License-Identifier: Apache-2.0
// Health checks of backends: TCP connects from this host that never block. Each turn of the main
// loop looks at those under way and starts those that are due. A backend that never answered is
// "unknown", not down: its guard may not trust this host.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"

namespace trap::server {

struct HealthSettings {
  unsigned interval_ms = 2000;
  unsigned timeout_ms = 1000;
  unsigned rise = 2; // successes in a row that make a backend up
  unsigned fall = 3; // failures in a row that make one that was up down

  bool operator==(const HealthSettings&) const = default;
};

enum class Health { unknown, up, down };

const char* health_name(Health health);

// The health of one backend by its last checks.
class HealthTrack {
public:
  // Takes the result of a check; true if the health changed.
  bool note(bool success, const HealthSettings& settings);

  Health health() const { return health_; }
  unsigned failures() const { return failures_; } // in a row

private:
  Health health_ = Health::unknown;
  unsigned successes_ = 0; // in a row
  unsigned failures_ = 0;
};

// The way of checks, where it differs from "to the backend's own address, by the kernel's choice".
struct HealthWay {
  std::map<Endpoint, Endpoint> reached_at; // by backend
  std::vector<trap_address> sources;       // at most one of each family
};

class HealthChecker {
public:
  // The backends to check from now on. Backends that stay keep their health; a check under way of
  // one that goes is given up.
  void watch(const std::map<Endpoint, HealthSettings>& wanted, HealthWay way = {});

  // Looks at checks under way, starts those that are due; true if the health of a backend changed.
  // now_ns: CLOCK_MONOTONIC.
  bool advance(std::uint64_t now_ns);

  Health health(const Endpoint& backend) const; // of one that is not watched: unknown
  std::string
  last_error(const Endpoint& backend) const; // why the last check failed; empty if it did not

  // The address from which the last check left; nothing before the first.
  std::optional<trap_address> source(const Endpoint& backend) const;

  // Why this host cannot check at all, one line for each reason.
  std::vector<std::string> problems() const;

private:
  struct Target {
    HealthSettings settings;
    HealthTrack track;
    std::string last_error;
    std::optional<trap_address> source;
    std::string own_error; // why the last check could not be made
    std::uint64_t due_ns = 0;
    std::uint64_t started_ns = 0; // of the check under way
    Fd connection;                // open: a check is under way
    bool is_scheduled = false;
  };
  using Entry = std::map<Endpoint, Target>::value_type;

  void schedule_new(std::uint64_t now_ns);
  bool finish_checks(std::uint64_t now_ns);
  bool start_checks(std::uint64_t now_ns);
  bool start(Entry& entry, std::uint64_t now_ns) const;
  static bool finish(Entry& entry, int error_number);
  static bool note(Entry& entry, bool success, const std::string& error);

  std::map<Endpoint, Target> targets_;
  HealthWay way_;
};

} // namespace trap::server
