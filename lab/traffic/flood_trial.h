// SPDX-License-Identifier: Apache-2.0
// A defended web server under a flood that has a CPU of its own: how its clients fare, and whether
// it was the victim's CPU that decided it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lab/network/topology.h"
#include "lab/traffic/callers.h"
#include "runtime/result.h"

namespace trap::lab {

struct FloodTrialPlan {
  Family family = Family::ipv4;
  std::string flooded;         // host of the lab, after prepare_flooded_link()
  std::string flooded_address; // of it; the flood is for the web server's port
  int per_second = 0;          // of the flood; 0: none
  std::string client;          // host of the lab
  std::string called_address;  // that the client knows
  std::function<void()> before_call{};
  Pace pace;
  Load load; // without connections: no load
};

struct FloodTrial {
  int asked_per_second = 0;
  double offered_per_second = 0;  // of the flood, at the victim's link
  double received_per_second = 0; // by the victim, clients' packets included
  std::vector<Call> calls;
  double requests_per_second = 0;
  double victim_busy = 0, victim_busy_with_load = 0; // shares of the first CPU's time
  std::uint64_t refused_by_backlog = 0;              // SYNs, because the listener's queue was full
  double stolen = 0; // of either CPU's time, the greater, by the machine below this one

  [[nodiscard]] double share_served() const; // answered, of all calls
  [[nodiscard]] double connect_ms(int percent) const;
  [[nodiscard]] double first_byte_ms(int percent) const;

  // The flood came as asked.
  [[nodiscard]] bool flood_arrived() const;
  // The victim's CPU had no time left, so a call that was lost was lost by the defence.
  [[nodiscard]] bool victim_was_busy() const;
  // Its clients' load used the victim's CPU up, so the rate of requests is the defence's.
  [[nodiscard]] bool load_was_limited_by_victim() const;
  // The reason why calls that were lost do not count against the defence; empty if they do, or if
  // none was lost.
  [[nodiscard]] std::string doubt() const;
};

// Shares of served calls from which a defence holds, and below which it has collapsed.
inline constexpr double share_that_holds = 0.95, share_of_collapse = 0.5;

// The flood has the last CPU. Whatever serves must have been kept to the first, which it shares
// with the clients where there are only two.
Result<FloodTrial> try_under_flood(const Topology& topology, const FloodTrialPlan& plan);

// Keeps the processes that run on a host now to one CPU, before other processes of the machine.
Result<void> keep_programs_to_cpu(const Host& host, int cpu);

} // namespace trap::lab
