// SPDX-License-Identifier: Apache-2.0
// The demo's last sentence, made of what was measured: it also says when TRAP was the slower one.
#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "lab/demo/demo.h"

namespace trap::lab {
namespace {

// The steps of one kind, both families taken together.
struct Summary {
  int steps = 0, delivered = 0;
  double median_s = 0, worst_s = 0;
  double least_flood = std::numeric_limits<double>::max(), greatest_flood = 0;
};

Summary summary_of(const std::vector<Step>& steps, std::string_view prefix) {
  Summary summary;
  std::vector<double> times_s;
  for (const Step& step : steps) {
    if (!step.name.starts_with(prefix))
      continue;
    summary.steps++;
    if (step.response.complete()) {
      summary.delivered++;
      times_s.push_back(step.response.total_s);
    }
    if (step.flood) {
      summary.least_flood = std::min(summary.least_flood, step.flood->per_second());
      summary.greatest_flood = std::max(summary.greatest_flood, step.flood->per_second());
    }
  }
  if (!times_s.empty()) {
    std::ranges::sort(times_s);
    summary.median_s = (times_s[(times_s.size() - 1) / 2] + times_s[times_s.size() / 2]) / 2;
    summary.worst_s = times_s.back();
  }
  return summary;
}

std::string time_text(double seconds) {
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1000) : fmt::format("{:.1f} s", seconds);
}

// 123456 as "123,000".
std::string thousands_text(double count) {
  return count < 1000 ? fmt::format("{:.0f}", count) : fmt::format("{:.0f},000", count / 1000);
}

std::string delivery_text(const Summary& summary) {
  if (summary.delivered == 0)
    return "delivered nothing in 4 s";
  const std::string often = summary.delivered < summary.steps
                                ? fmt::format(" {} times of {}", summary.delivered, summary.steps)
                                : "";
  return fmt::format("delivered 5 MB{} in {} (at worst {})", often, time_text(summary.median_s),
                     time_text(summary.worst_s));
}

std::string comparison(const Summary& trap, const Summary& cookies) {
  if (cookies.delivered < cookies.steps || trap.delivered < trap.steps)
    return "";
  return trap.median_s > cookies.median_s ? ", which was faster than TRAP here"
                                          : ", which was slower than TRAP";
}

std::string stranger_text(const std::vector<Step>& steps) {
  const auto got_in = std::ranges::count_if(
      steps, [](const Step& step) { return step.name == "stranger" && !step.ok; });
  return got_in == 0 ? "a host that was not admitted got no answer from it"
                     : "but a host that was not admitted was not kept out";
}

} // namespace

std::string demo_summary(const std::vector<Step>& steps) {
  const Summary calm = summary_of(steps, "download-"), flooded = summary_of(steps, "flood-");
  const Summary off = summary_of(steps, "unprotected-cookies-off"),
                on = summary_of(steps, "unprotected-cookies-on");
  if (calm.steps == 0 || flooded.steps == 0 || off.steps == 0 || on.steps == 0)
    return "The demo did not get far enough to conclude anything.";
  return fmt::format(
      "Under {} to {} spoofed SYNs a second the service behind TRAP {}, against {} without a "
      "flood, and {}; "
      "a stock nginx under the same flood {} with SYN cookies off, and {} with them on{}.",
      thousands_text(flooded.least_flood), thousands_text(flooded.greatest_flood),
      delivery_text(flooded), time_text(calm.median_s), stranger_text(steps), delivery_text(off),
      delivery_text(on), comparison(flooded, on));
}

} // namespace trap::lab
