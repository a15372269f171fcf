// SPDX-License-Identifier: Apache-2.0
// The figures of a run, as report.json and as the list of targets at the end of the tables.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/result.h"
#include "tests/support/vectors.h"

namespace trap::bench {

struct Line {
  std::string experiment;
  std::string responder;
  int family = 0; // 4, 6, or 0 if it makes no difference
  std::string metric;
  std::string unit;
  double value = 0; // the median
  double min = 0;
  double max = 0;
  int runs = 1;
  std::string floor = {}; // the responder that value is compared with in ratio_to_floor
  std::optional<double> ratio_to_floor = {};
  test::Json more = test::Json::object(); // fields of this experiment only
};

enum class Bound { at_least, at_most };

struct Target {
  std::string name;
  double value;
  Bound bound;
  double limit;
  std::string unit; // "x" for ratios

  [[nodiscard]] bool met() const {
    return bound == Bound::at_least ? value >= limit : value <= limit;
  }
};

// The median of some values, and between which they lie.
struct Spread {
  double median, min, max;
};
Spread spread_of(std::vector<double> values);

// The smallest of the values that `percent` percent of them do not exceed.
double percentile(std::vector<double> values, int percent);

class Report {
public:
  // `quick`: the figures show that the run works, and little else.
  explicit Report(bool quick) : quick_(quick) {}
  void add(Line line) { lines_.push_back(std::move(line)); }
  void add(Target target) { targets_.push_back(std::move(target)); }
  // Something that this machine cannot have.
  void skip(const std::string& what, const std::string& why);
  // A measurement whose own check failed: it has no figures.
  void refuse(const std::string& what, const std::string& why);
  // Figures that prove nothing, because the machine was slow or busy: refused, but for a quick run,
  // whose figures say little anyway.
  void doubt(const std::string& what, const std::string& why);

  [[nodiscard]] const Line* find(const std::string& experiment, const std::string& responder,
                                 int family) const;
  // Nothing was measured, skipped or refused.
  [[nodiscard]] bool empty() const { return lines_.empty() && skips_.empty() && refusals_.empty(); }
  [[nodiscard]] bool refused() const { return !refusals_.empty(); }
  void print_targets() const;
  // The report as JSON; makes the folder of `path`.
  [[nodiscard]] Result<void> write(const std::string& path) const;

private:
  [[nodiscard]] test::Json json() const;

  bool quick_;
  std::vector<Line> lines_;
  std::vector<Target> targets_;
  std::vector<std::pair<std::string, std::string>> skips_, refusals_;
};

} // namespace trap::bench
