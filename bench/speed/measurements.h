// SPDX-License-Identifier: Apache-2.0
// The measurements of trap-bench that are about TRAP alone. Each prints a table and adds lines and
// targets to the report. An error is the reason why it has no figures. Where there is `only`, it
// restricts to names that contain it; those are refused one by one.
#pragma once

#include <string>
#include <vector>

#include "bench/comparison/closed_loop.h"
#include "bench/report/report.h"
#include "bench/speed/path_bench.h"
#include "lab/hosts/addresses.h"
#include "runtime/result.h"

namespace trap::bench {

// Nanoseconds per packet on every path of the programs.
void measure_paths(const PathEffort& effort, const std::string& only, Report& report);

struct GrowthEffort {
  int rounds;
  int packets; // of each round
  bool all; // every size and both families; else the smallest and one that is quickly filled, IPv4
};

// Nanoseconds per packet and memory as tables fill: services, backends, prefixes, clients, flows,
// redirects. Each packet is of another member than the last, so that caches are as cold as a great
// number makes them.
void measure_growth(const GrowthEffort& effort, const std::string& only, Report& report);

struct ScalingEffort {
  int rounds;
  int packets; // of each CPU in each round
  std::vector<int> families;
};

// How much more two CPUs do than one where both have packets of the same clients.
void measure_scaling(const ScalingEffort& effort, const std::string& only, Report& report);

struct ClientEffort {
  int connections;          // of each kind
  int transfers;            // of each kind, a second each
  std::vector<int> streams; // at once, of a transfer
  std::vector<lab::Family> families;
};

// Times of first and later connections with trap-client and the throughput of translated ones,
// each beside a direct connection to the same host.
Result<void> measure_client(const ClientEffort& effort, Report& report);

// Throughput past trap-guard, beside an XDP program that passes everything: `transfers` of each
// kind, with so many streams at once.
Result<void> measure_guard(const ClientEffort& effort, Report& report);

// Memory that a flood leaves taken: trap-server's resident size and its maps, before and after.
Result<void> measure_memory(ClosedLoop& loop, Report& report);

// Memory of trap-guard's maps with ten million clients, announced and with budgets; fewer if
// `quick`.
Result<void> measure_client_memory(bool quick, Report& report);

// Time in which trap-server applies a file of 100,000 client prefixes.
Result<void> measure_prefixes(ClosedLoop& loop, Report& report);

// The cost of one GET /metrics from a trap-server with 1,000 addresses: bpf() calls, as strace
// counts them, and milliseconds without strace.
Result<void> measure_scrape(ClosedLoop& loop, Report& report);

// Share of clients that change their backend when one of ten leaves or joins.
Result<void> measure_backend_churn(Report& report);

} // namespace trap::bench
