// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/metrics.h"

#include <algorithm>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "runtime/printable.h"

namespace trap {

struct Metrics::Families {
  std::vector<prometheus::MetricFamily> list;

  prometheus::ClientMetric& add(const std::string& name, const std::string& help,
                                prometheus::MetricType type, const Labels& labels) {
    auto family =
        std::find_if(list.begin(), list.end(), [&](const auto& made) { return made.name == name; });
    if (family == list.end())
      family = list.insert(list.end(), prometheus::MetricFamily{name, help, type, {}});
    prometheus::ClientMetric& metric = family->metric.emplace_back();
    for (const auto& [label, value] : labels)
      metric.label.push_back({label, as_utf8(value)}); // or the scrape fails as a whole
    return metric;
  }
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}
Metrics::~Metrics() = default;

void Metrics::counter(const std::string& name, const std::string& help, const Labels& labels,
                      double value) {
  families_->add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels,
                    double value) {
  families_->add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(families_->list);
}

} // namespace trap
