// SPDX-License-Identifier: Apache-2.0
#include "lab/demo/demo.h"

#include <algorithm>

#include <fmt/format.h>

#include "lab/demo/heavy_flood.h"
#include "lab/deployment/visit.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds download_deadline{15000}, stranger_deadline{2000};
// A flood is watched for at least this long, so that its rate means something.
constexpr milliseconds flood_least{1000};
constexpr std::string_view document = "/5mb.bin";

std::string outcome_of(const Step& step) {
  std::string text = step.response.text();
  if (step.flood)
    text += fmt::format(", {:.0f} packets/s of flood", step.flood->per_second());
  return step.note.empty() ? text : text + " -- " + step.note;
}

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

std::string delivery_text(const Summary& summary) {
  if (summary.delivered == 0)
    return "delivered nothing";
  const std::string often = summary.delivered < summary.steps
                                ? fmt::format(" {} times of {}", summary.delivered, summary.steps)
                                : "";
  return fmt::format("delivered 5 MB{} in {} (at worst {})", often, time_text(summary.median_s),
                     time_text(summary.worst_s));
}

std::string stranger_text(const std::vector<Step>& steps) {
  const auto got_in = std::ranges::count_if(
      steps, [](const Step& step) { return step.name == "stranger" && !step.ok; });
  return got_in == 0 ? "a host that was not admitted got no answer from it"
                     : "but a host that was not admitted was not kept out";
}

} // namespace

Demo::Demo(Deployment& deployment, const Terminal& terminal)
    : deployment_(&deployment), terminal_(&terminal) {}

bool Demo::every_step_behaved() const {
  return !steps_.empty() && std::ranges::all_of(steps_, &Step::ok);
}

void Demo::conclude(Step step) {
  terminal_->end(step.ok, fmt::format("{}, {}", step.title, name_of(step.family)),
                 outcome_of(step));
  steps_.push_back(std::move(step));
}

Result<void> Demo::play() {
  terminal_->heading("1. A download of 5 MB through the public address, no flood");
  if (auto done = calm_downloads(); !done)
    return done;
  terminal_->heading("2. The same while SYNs from random sources flood the public address, then "
                     "the service's own");
  if (auto done = downloads_under("trap", "flood-public", "flood at public address"); !done)
    return done;
  if (auto done = downloads_under("service", "flood-service", "flood at service's address"); !done)
    return done;
  terminal_->heading("3. A host that was not admitted goes straight to the service");
  for (const Family family : families)
    if (auto done = stranger(family); !done)
      return done;
  return {};
}

Result<void> Demo::calm_downloads() {
  for (const Family family : families) {
    if (auto fresh = deployment_->client().start_afresh(); !fresh)
      return fresh;
    for (const VisitKind which : {VisitKind::first, VisitKind::later})
      if (auto visited = visit(which, family, "download", "no flood", nullptr); !visited)
        return visited;
  }
  return {};
}

Result<void> Demo::downloads_under(std::string_view victim, std::string_view name,
                                   std::string_view title) {
  for (const Family family : families) {
    if (auto fresh = deployment_->client().start_afresh(); !fresh)
      return fresh;
    auto flood = Flood::start(deployment_->topology(),
                              {family, FloodKind::syn, std::string{victim}, service_port});
    if (!flood)
      return flood.error();
    for (const VisitKind which : {VisitKind::first, VisitKind::later})
      if (auto visited = visit(which, family, name, title, &*flood); !visited)
        return visited;
  }
  return {};
}

Result<void> Demo::visit(VisitKind which, Family family, std::string_view name,
                         std::string_view title, const Flood* flood) {
  const bool first = which == VisitKind::first;
  Step step;
  step.name = fmt::format("{}-{}", name, first ? "first" : "second");
  step.title = fmt::format("{}, {} connection", title, first ? "1st" : "2nd");
  step.family = family;
  terminal_->begin(step.title);

  const auto before = deployment_->read();
  if (!before)
    return before.error();
  auto response = fetch(deployment_->topology().host("client"),
                        {Deployment::public_url(family, document), download_deadline});
  if (!response)
    return response.error();
  step.response = std::move(*response);
  if (flood != nullptr && !sleep_for(flood_least))
    return Error{"interrupted"};
  const auto after = deployment_->read();
  if (!after)
    return after.error();
  step.counters = difference(*before, *after);
  if (flood != nullptr) {
    const auto seen = flood->seen();
    if (!seen)
      return seen.error();
    step.flood = *seen;
  }
  step.note = complaint({which, family, download_bytes, name == "flood-public"}, step.counters,
                        step.response);
  step.ok = step.note.empty();
  conclude(std::move(step));
  return {};
}

Result<void> Demo::stranger(Family family) {
  Step step;
  step.name = "stranger";
  step.title = "not admitted, straight to the service";
  step.family = family;
  terminal_->begin(step.title);
  const auto before = deployment_->read();
  if (!before)
    return before.error();
  const std::string url = fmt::format(
      "http://{}{}", endpoint(addresses_of("service").address(family), service_port), document);
  auto response = fetch(deployment_->topology().host("stranger"), {url, stranger_deadline});
  if (!response)
    return response.error();
  const auto after = deployment_->read();
  if (!after)
    return after.error();
  step.response = std::move(*response);
  step.counters = difference(*before, *after);
  step.ok = step.response.exit_code == curl_timed_out && step.response.connect_s == 0 &&
            count_of(step.counters.guard, "drop-uninvited") > 0;
  step.note = step.ok ? "the guard dropped it" : "the guard did not keep it out";
  conclude(std::move(step));
  return {};
}

std::string demo_summary(const std::vector<Step>& steps) {
  const Summary calm = summary_of(steps, "download-"), flooded = summary_of(steps, "flood-");
  if (calm.steps == 0 || flooded.steps == 0)
    return "The demo did not get far enough to conclude anything.";
  return fmt::format("Under {} to {} spoofed SYNs a second the service behind TRAP {}, against {} "
                     "without a flood, and {}.",
                     rate_text(flooded.least_flood), rate_text(flooded.greatest_flood),
                     delivery_text(flooded), time_text(calm.median_s), stranger_text(steps));
}

} // namespace trap::lab
