// SPDX-License-Identifier: Apache-2.0
// A scrape under construction: families of counters and gauges, and their text in Prometheus'
// exposition format 0.0.4. The Prometheus library stays inside metrics.cpp.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace trap {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Metrics {
public:
  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics();

  // Adds one value to the family `name`, which the first call makes; help and kind are those of
  // that call. Names and labels are ours: they are not checked. The same labels twice in a family
  // is a mistake that a scrape would reject.
  void counter(const std::string& name, const std::string& help, const Labels& labels,
               double value);
  void gauge(const std::string& name, const std::string& help, const Labels& labels, double value);

  // Families in the order in which they were made.
  std::string text() const;

private:
  struct Families;
  std::unique_ptr<Families> families_;
};

} // namespace trap
