// SPDX-License-Identifier: Apache-2.0
// Client and server share one CPU: waking another one of a virtual machine takes longer, and varies
// more, than the differences between defences.
#include "bench/experiments/experiments.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "bench/experiments/defence_rounds.h"
#include "bench/experiments/defences.h"
#include "bench/harness/greeter.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/interrupt.h"

namespace trap::bench {
namespace {

using lab::Family;
using Block = std::vector<double>; // us

constexpr int paper_rounds = 3, paper_connections = 20;
constexpr int warm_up = 10; // the first of them tells the client where the service is

// The paper's means, in us.
const std::map<std::string, double, std::less<>> paper = {{"trap-first", 7683.6},
                                                          {"trap-later", 7683.6},
                                                          {"kernel-cookies", 7820.3},
                                                          {"nft-synproxy", 7978.3}};

class ConnectionTimes {
public:
  ConnectionTimes(Testbed& testbed, Report& report) : report_(report), testbed_(testbed) {}

  Result<void> run_paper() {
    DefenceRounds rounds{"connection-time-paper", defences(), testbed_, report_};
    if (auto ran = run(rounds, paper_rounds, paper_connections); !ran)
      return ran;
    rounds.for_each([&](const Defence& defence, Family family) {
      add_paper(defence, family, blocks_[{defence.name, family}]);
    });
    return {};
  }

  Result<void> run_many(const ConnectionEffort& effort) {
    DefenceRounds rounds{"connection-time", defences(), testbed_, report_};
    if (auto ran = run(rounds, effort.blocks, effort.connections / effort.blocks); !ran)
      return ran;
    rounds.for_each([&](const Defence& defence, Family family) {
      add_percentiles(defence, family, blocks_[{defence.name, family}]);
    });
    return {};
  }

private:
  static std::vector<Defence> defences() {
    return {
        undefended("plain"),       trap_at_first("trap-first"),      trap_later("trap-later"),
        trap_served("trap-serve"), kernel_cookies("kernel-cookies"), nft_synproxy("nft-synproxy")};
  }

  Result<void> run(DefenceRounds& rounds, int blocks, int connections) {
    blocks_.clear();
    return rounds.run(blocks, [&](const Defence& defence, Family family) {
      return connect(defence, family, connections);
    });
  }

  Result<Work> connect(const Defence& defence, Family family, int connections) {
    const auto pinned = lab::Pinned::to(0);
    if (!pinned)
      return pinned.error();
    const lab::InHost inside{testbed_.host(defence.client)};
    if (!inside.entered())
      return Error{fmt::format("cannot enter {}", defence.client)};
    Block block;
    for (int i = -warm_up; i < connections; i++) {
      if (lab::interrupted())
        return Error{"interrupted"};
      defence.prepare(testbed_);
      const auto us = time_greeting(defence.address(family), lab::service_port);
      if (!us)
        return us.error();
      if (i >= 0)
        block.push_back(*us);
    }
    const Work work{block.size(), false};
    blocks_[{defence.name, family}].push_back(std::move(block));
    return work;
  }

  void add_paper(const Defence& defence, Family family, const std::vector<Block>& rounds) {
    const int version = static_cast<int>(family);
    std::printf("connection-time-paper %-14s IPv%d ", defence.name.c_str(), version);
    for (std::size_t i = 0; i < rounds.size(); i++) {
      const Block& round = rounds[i];
      const double mean =
          std::accumulate(round.begin(), round.end(), 0.0) / static_cast<double>(round.size());
      const Spread spread = spread_of(round);
      Line line{"connection-time-paper",
                defence.name,
                version,
                fmt::format("round_{}", i + 1),
                "us",
                mean,
                spread.min,
                spread.max,
                static_cast<int>(round.size())};
      if (const auto known = paper.find(defence.name); known != paper.end())
        line.more = {{"paper", known->second}};
      report_.add(std::move(line));
      std::printf(" %8.1f", mean);
    }
    std::printf(" us in the mean\n");
  }

  void add_percentiles(const Defence& defence, Family family, const std::vector<Block>& blocks) {
    Block all;
    for (const Block& block : blocks)
      all.insert(all.end(), block.begin(), block.end());
    const int version = static_cast<int>(family);
    std::printf("connection-time %-14s IPv%d ", defence.name.c_str(), version);
    for (const int percent : {50, 90, 99}) {
      std::vector<double> of_blocks(blocks.size());
      std::ranges::transform(blocks, of_blocks.begin(),
                             [&](const Block& block) { return percentile(block, percent); });
      const Spread spread = spread_of(of_blocks);
      const double value = percentile(all, percent);
      Line line{"connection-time",
                defence.name,
                version,
                fmt::format("p{}", percent),
                "us",
                value,
                spread.min,
                spread.max,
                static_cast<int>(blocks.size())};
      line.more = {{"connections", all.size()}};
      if (!defence.note.empty())
        line.more["note"] = defence.note;
      report_.add(std::move(line));
      std::printf("  p%d %8.1f us", percent, value);
    }
    std::printf("\n");
  }

  Report& report_;
  Testbed& testbed_;
  std::map<std::pair<std::string, Family>, std::vector<Block>> blocks_;
};

} // namespace

Result<void> measure_connection_times(const ConnectionEffort& effort, Report& report) {
  const auto testbed = Testbed::build(Serves::greeting, 0);
  if (!testbed)
    return testbed.error();
  ConnectionTimes times{**testbed, report};
  if (auto ran = times.run_paper(); !ran)
    return ran;
  return times.run_many(effort);
}

} // namespace trap::bench
