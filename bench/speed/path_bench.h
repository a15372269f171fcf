// SPDX-License-Identifier: Apache-2.0
// Time of a path: the same frame through the empty program, XDP_TX and the program under test, in
// turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/report/report.h"
#include "bench/speed/path.h"
#include "runtime/result.h"

namespace trap::bench {

struct PathEffort {
  int rounds;  // in each of which every responder runs once
  int packets; // of each responder in each round
  int passes;  // over all paths; each has its rounds in every pass
};

// The program of a path: loaded for it alone, with tables of their usual sizes; or one small one
// that all paths of a part use, each from the start, one after another. That is quick.
enum class TestedObject { own, shared };

// Nanoseconds per packet of one responder on one path.
struct PathTime {
  std::string experiment;
  std::string responder; // trap, empty, send-back
  int family;
  Spread ns;
  std::vector<double> rounds; // ns, one value a round
};

// One path for one family. Its rounds can be spread between those of other paths, so that a machine
// that is busy for some seconds does not spoil one of them.
class PathBench {
public:
  // `path` must outlive it. An error if a program does not load or cannot be configured.
  static Result<PathBench> load(const Path& path, int family, TestedObject tested);
  PathBench(PathBench&& other) noexcept;
  PathBench& operator=(PathBench&& other) noexcept;
  ~PathBench();
  [[nodiscard]] std::string name() const; // "server-syn ipv4"
  Result<void> run(const PathEffort& effort);
  // Of all rounds: "empty", "send-back" where there is such a floor, then "trap". An error if the
  // packets did not take the path.
  Result<std::vector<PathTime>> results();

private:
  class Bench;
  explicit PathBench(std::unique_ptr<Bench> bench);
  std::unique_ptr<Bench> bench_;
};

} // namespace trap::bench
