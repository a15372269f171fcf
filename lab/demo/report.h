// SPDX-License-Identifier: Apache-2.0
// The demo's measurements, step by step: as a table for a person and as JSON for programs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lab/deployment/deployment.h"
#include "lab/network/topology.h"
#include "lab/programs/curl.h"
#include "lab/traffic/flood.h"
#include "runtime/result.h"

namespace trap::lab {

struct Step {
  std::string name;  // for programs: "flood-public-first"
  std::string title; // for people: "flood at public address, 1st connection"
  Family family = Family::ipv4;
  bool ok = false; // it behaved as it must
  std::string note;
  std::string who; // who answered, where no counters tell
  Response response;
  std::optional<FloodSeen> flood;
  Reading counters; // added by the step
};

// A table with a line for each step.
std::string table_of(const std::vector<Step>& steps);

// The answers in a step, by their senders, from the verdict counters: "server 1 SYN-ACK, 1
// redirect; guard 1 ticket".
std::string who_answered(const Reading& counters);

// {"version", "steps": [{name, family, ok, times, http_status, bytes, flood_pps, counters}],
// "summary"}
Result<void> write_report(const std::filesystem::path& path, const std::vector<Step>& steps,
                          const std::string& summary);

} // namespace trap::lab
