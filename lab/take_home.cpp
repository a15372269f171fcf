// SPDX-License-Identifier: Apache-2.0
// The demo's last sentence, made of what was measured: it also says when TRAP was the slower one.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "lab/demo.h"

namespace trap::lab {
namespace {

// The steps of one kind, both families taken together.
struct Summary {
  int steps = 0, delivered = 0;
  double worst_s = 0;
  double least_flood = std::numeric_limits<double>::max(), greatest_flood = 0;
};

Summary summary_of(const std::vector<Step>& steps, std::string_view prefix) {
  Summary summary;
  for (const Step& step : steps) {
    if (!step.name.starts_with(prefix))
      continue;
    summary.steps++;
    if (step.response.complete()) {
      summary.delivered++;
      summary.worst_s = std::max(summary.worst_s, step.response.total_s);
    }
    if (step.flood) {
      summary.least_flood = std::min(summary.least_flood, step.flood->per_second());
      summary.greatest_flood = std::max(summary.greatest_flood, step.flood->per_second());
    }
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
  if (summary.delivered < summary.steps)
    return fmt::format("delivered {} of {} times, in at most {}", summary.delivered, summary.steps, time_text(summary.worst_s));
  return fmt::format("delivered in at most {}", time_text(summary.worst_s));
}

std::string comparison(const Summary& trap, const Summary& cookies) {
  if (cookies.delivered < cookies.steps || trap.delivered < trap.steps)
    return "";
  if (trap.worst_s > cookies.worst_s)
    return fmt::format(" (so TRAP was slower here, by {})", time_text(trap.worst_s - cookies.worst_s));
  return fmt::format(" (TRAP was {} faster)", time_text(cookies.worst_s - trap.worst_s));
}

std::string stranger_text(const std::vector<Step>& steps) {
  const auto got_in = std::ranges::count_if(steps, [](const Step& step) { return step.name == "stranger" && !step.ok; });
  return got_in == 0 ? "a host that was not admitted got no answer from it" : "but a host that was not admitted was not kept out";
}

} // namespace

std::string take_home(const std::vector<Step>& steps) {
  const Summary calm = summary_of(steps, "download-"), flooded = summary_of(steps, "flood-");
  const Summary off = summary_of(steps, "unprotected-cookies-off"), on = summary_of(steps, "unprotected-cookies-on");
  if (calm.steps == 0 || flooded.steps == 0 || off.steps == 0 || on.steps == 0)
    return "The demo did not get far enough to conclude anything.";
  return fmt::format("Under {} to {} spoofed SYNs a second the service behind TRAP {} (at most {} without a flood), and {}; "
                     "a stock nginx under the same flood {} with SYN cookies off, and {} with them on{}.",
                     thousands_text(flooded.least_flood), thousands_text(flooded.greatest_flood), delivery_text(flooded),
                     time_text(calm.worst_s), stranger_text(steps), delivery_text(off), delivery_text(on), comparison(flooded, on));
}

} // namespace trap::lab
