// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/commands.h"
#include "lab/hosts/files.h"
#include "lab/hosts/interrupt.h"
#include "lab/hosts/session.h"
#include "lab/scenarios/scene.h"

namespace trap::lab {
namespace {

struct Outcome {
  std::string_view name;
  bool ok = false;
  int checks = 0, failures = 0;
  std::string reason;
};

Result<std::vector<const Scenario*>> choose(const std::vector<std::string>& names) {
  std::vector<const Scenario*> chosen;
  for (const std::string& name : names) {
    if (name == "all") {
      for (const Scenario& scenario : scenarios())
        chosen.push_back(&scenario);
      continue;
    }
    const auto found = std::ranges::find(scenarios(), name, &Scenario::name);
    if (found == scenarios().end())
      return Error{fmt::format("no scenario \"{}\": see `trap-lab list`", name), ExitCode::usage};
    chosen.push_back(&*found);
  }
  return chosen;
}

void print_log_ends(Deployment& deployment, const Terminal& terminal) {
  for (const Daemon* daemon : {&deployment.server(), &deployment.guard(), &deployment.client()})
    for (const std::string& line : last_lines(daemon->log(), 8))
      terminal.line(fmt::format("#   trap-{}: {}", name_of(daemon->part()), line));
}

Outcome failed(const Scenario& scenario, const Error& error) {
  return {scenario.name, false, 0, 0, error.message};
}

Outcome play(const Scenario& scenario, const Options& options, const Terminal& terminal) {
  terminal.line(fmt::format("# {}: {}", scenario.name, scenario.goal));
  auto topology = Topology::build();
  if (!topology)
    return failed(scenario, topology.error());
  auto deployment = Deployment::start(*topology, scenario.plan);
  if (!deployment)
    return failed(scenario, deployment.error());
  Scene scene{*deployment, terminal};
  scenario.play(scene);
  const bool ok = scene.failures() == 0 && scene.checks() > 0 && !interrupted();
  if (!ok && !interrupted())
    print_log_ends(*deployment, terminal);
  if (options.keep && !interrupted()) {
    terminal.line(
        "# The lab stays up until you press Ctrl-C; `trap-lab shell HOST` from another terminal.");
    wait_for_interrupt();
  }
  return {scenario.name, ok, scene.checks(), scene.failures(),
          fmt::format("{} of {} checks failed", scene.failures(), scene.checks())};
}

Result<void> write_outcomes(const std::filesystem::path& path,
                            const std::vector<Outcome>& outcomes) {
  nlohmann::ordered_json report{{"version", TRAP_VERSION_STRING},
                                {"scenarios", nlohmann::ordered_json::array()}};
  for (const Outcome& outcome : outcomes)
    report["scenarios"].push_back({{"name", outcome.name},
                                   {"ok", outcome.ok},
                                   {"checks", outcome.checks},
                                   {"failures", outcome.failures}});
  return write_text(path, report.dump(2) + "\n");
}

} // namespace

int list_command() {
  for (const Scenario& scenario : scenarios())
    fmt::print("{:<18} {}\n", scenario.name, scenario.goal);
  return 0;
}

int run_command(const Options& options, const std::vector<std::string>& names) {
  const Terminal terminal{options.colour};
  const auto chosen = choose(names);
  if (!chosen)
    return complain(chosen.error());
  auto session = Session::begin();
  if (!session)
    return complain(session.error());
  std::vector<Outcome> outcomes;
  for (const Scenario* scenario : *chosen) {
    outcomes.push_back(play(*scenario, options, terminal));
    const Outcome& last = outcomes.back();
    terminal.line(fmt::format("{} {}{}", last.ok ? terminal.good("ok") : terminal.bad("not ok"),
                              last.name, last.ok ? "" : ": " + last.reason));
    if (interrupted())
      break;
  }
  if (!options.report.empty())
    if (auto written = write_outcomes(options.report, outcomes); !written)
      return complain(written.error());
  if (interrupted())
    return complain(Error{"interrupted"});
  const auto bad = std::ranges::count(outcomes, false, &Outcome::ok);
  terminal.line(fmt::format("# {} of {} scenarios passed",
                            outcomes.size() - static_cast<std::size_t>(bad), outcomes.size()));
  return bad == 0 ? 0 : 1;
}

} // namespace trap::lab
