// SPDX-License-Identifier: Apache-2.0
// The demo's measurements, step by step: as a table for a person and as JSON for programs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lab/demo/heavy_flood.h"
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
  Response response;
  std::optional<FloodSeen> flood;
  Reading counters; // added by the step
};

// A table with a line for each step.
std::string table_of(const std::vector<Step>& steps);

// The answers in a step, by their senders, from the verdict counters: "server 1 SYN-ACK, 1
// redirect; guard 1 ticket".
std::string who_answered(const Reading& counters);

// What the demo found. `heavy_flood` is empty if this machine cannot have one.
struct DemoReport {
  std::vector<Step> steps;
  std::vector<FloodRow> heavy_flood;
  std::string downloads; // a sentence about the steps
  std::string summary;   // the sentence to take home
};

// {"version", "steps": [{name, family, ok, times, http_status, bytes, flood_pps, counters}],
// "heavy_flood": {"cpus", "asked_per_second", "defences": [{name, title, ...}]}, "downloads",
// "summary"}
Result<void> write_report(const std::filesystem::path& path, const DemoReport& report);

} // namespace trap::lab
