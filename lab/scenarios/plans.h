// SPDX-License-Identifier: Apache-2.0
// Deployments that several scenarios share. Functions, as registrations read them before main().
#pragma once

#include <string>

#include "lab/deployment/configuration.h"

namespace trap::lab {

// Clients without a module are served through nginx on the TRAP host, for one service host.
inline DeploymentPlan relayed_plan() {
  return {.relay = RelayKind::nginx, .guards_trust = true};
}

// The same, at rest until an attack of so many SYNs, and again a second after it.
inline DeploymentPlan resting_plan(int attack_syns_per_s) {
  DeploymentPlan plan = relayed_plan();
  plan.service_keys = "activate = \"attack\"\nattack_hold_s = 1\nattack_syns_per_s = " +
                      std::to_string(attack_syns_per_s) + "\n";
  return plan;
}

// The guard's counters move only for the packets of a scenario, and it takes clocks for right: no
// health checks, no skew.
inline DeploymentPlan quiet_plan() {
  return {.service_keys = "health = \"off\"\n", .guard_keys = "clock_skew_s = 0\n"};
}

// Two backends whose death and return the server finds out in less than a second.
inline DeploymentPlan health_checked_plan() {
  return {
      .two_backends = true,
      .first_weight = 1,
      .guards_trust = true,
      .service_keys =
          "health_interval_ms = 200\nhealth_timeout_ms = 200\nhealth_rise = 2\nhealth_fall = 2\n"};
}

} // namespace trap::lab
