// SPDX-License-Identifier: Apache-2.0
#include "lab/commands.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <sched.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/demo/demo.h"
#include "lab/hosts/files.h"
#include "lab/hosts/interrupt.h"
#include "lab/hosts/session.h"
#include "lab/matrix/cells.h"
#include "lab/scenarios/scenario.h"
#include "runtime/version.h"

namespace trap::lab {
namespace {

void say_that_it_stays(const Terminal& terminal) {
  terminal.line(
      "The lab stays up until you press Ctrl-C; `trap-lab shell HOST` from another terminal.");
  wait_for_interrupt();
}

std::string mode_of(const Daemon& daemon) {
  const auto status = daemon.status();
  return status && !status->xdp_mode.empty() ? status->xdp_mode : "unknown";
}

std::string summary_of_the_lab(Deployment& deployment, int web_servers) {
  return fmt::format("{} hosts, nginx on {} of them; trap-server (XDP {}), trap-guard (XDP {}) and "
                     "trap-client (tc) at work",
                     address_plan().size() + 1, web_servers, mode_of(deployment.server()),
                     mode_of(deployment.guard()));
}

Result<int> play_demo(const Options& options, const Terminal& terminal) {
  terminal.begin("the lab comes up");
  auto topology = Topology::build();
  if (!topology)
    return topology.error();
  auto deployment = Deployment::start(*topology);
  if (!deployment)
    return deployment.error();

  terminal.end(true, "the lab is up", summary_of_the_lab(*deployment, 2));

  Demo demo{*deployment, terminal};
  const auto played = demo.play();
  if (!played)
    return played.error();
  Result<std::vector<FloodRow>> defences{std::vector<FloodRow>{}};
  if (!options.brief) {
    terminal.heading(fmt::format("4. {} SYNs a second from a CPU of their own; the victim has "
                                 "another",
                                 heavy_flood_per_second));
    defences = try_defences(*deployment, terminal);
    if (!defences)
      return defences.error();
  }
  const std::string downloads = demo_summary(demo.steps());
  const DemoReport found{demo.steps(), *defences, downloads,
                         options.brief ? downloads : sentence_of(*defences)};
  const auto report = options.report.empty()
                          ? program_directory().parent_path() / "demo/report.json"
                          : options.report;
  if (auto written = write_report(report, found); !written)
    return written.error();

  terminal.heading(options.brief ? "4. Measurements" : "5. Measurements");
  terminal.line(table_of(found.steps));
  if (!options.brief)
    terminal.line(found.downloads + "\n");
  if (!found.heavy_flood.empty())
    terminal.line(table_of(found.heavy_flood));
  terminal.line(fmt::format("Report: {}\n", report.lexically_normal().string()));
  terminal.line(terminal.strong(found.summary));
  if (options.keep)
    say_that_it_stays(terminal);
  return demo.every_step_behaved() ? 0 : 1;
}

struct Outcome {
  std::string_view name;
  bool ok = false;
  int checks = 0, failures = 0;
  std::string reason;
};

Result<std::vector<const Registered*>> choose(const std::vector<std::string>& names) {
  std::vector<const Registered*> chosen;
  for (const std::string& name : names) {
    if (name == "all") {
      for (const Registered& each : scenarios())
        chosen.push_back(&each);
      continue;
    }
    const auto found = std::ranges::find(scenarios(), name,
                                         [](const Registered& each) { return each.scenario.name; });
    if (found == scenarios().end())
      return Error{fmt::format("no scenario \"{}\": see `trap-lab list`", name), ExitCode::usage};
    chosen.push_back(&*found);
  }
  return chosen;
}

void print_log_ends(Deployment& deployment, const Terminal& terminal) {
  if (!deployment.plan().started)
    return;
  for (const Daemon* daemon : {&deployment.server(), &deployment.guard(), &deployment.client()})
    for (const std::string& line : last_lines(daemon->log(), 8))
      terminal.line(fmt::format("#   trap-{}: {}", name_of(daemon->kind()), line));
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
  nlohmann::ordered_json report{{"version", program_version},
                                {"scenarios", nlohmann::ordered_json::array()}};
  for (const Outcome& outcome : outcomes)
    report["scenarios"].push_back({{"name", outcome.name},
                                   {"ok", outcome.ok},
                                   {"checks", outcome.checks},
                                   {"failures", outcome.failures}});
  return write_text(path, report.dump(2) + "\n");
}

} // namespace

int demo_command(const Options& options) {
  const Terminal terminal{options.colour};
  auto session = Session::begin();
  if (!session)
    return complain(session.error());
  terminal.line(topology_drawing());
  const auto played = play_demo(options, terminal);
  if (!played)
    return complain(played.error());
  if (*played != 0)
    std::fprintf(stderr, "trap-lab: a step of the demo did not behave; see the lines with NO\n");
  return *played;
}

int up_command(const Options& options) {
  const Terminal terminal{options.colour};
  auto session = Session::begin();
  if (!session)
    return complain(session.error());
  auto topology = Topology::build();
  if (!topology)
    return complain(topology.error());
  if (options.bare) {
    terminal.line(topology_drawing());
    say_that_it_stays(terminal);
    return 0;
  }
  auto plain = Nginx::start(topology->host("plain"), {service_port});
  if (!plain)
    return complain(plain.error());
  auto deployment = Deployment::start(*topology);
  if (!deployment)
    return complain(deployment.error());
  terminal.line(topology_drawing());
  terminal.line(fmt::format("The lab is up: {}.\nFrom another terminal: `trap-lab shell client`, "
                            "then `curl {}`.\nCtrl-C takes it down.",
                            summary_of_the_lab(*deployment, 3),
                            Deployment::public_url(Family::ipv4, "/small.txt")));
  wait_for_interrupt();
  return 0;
}

int shell_command(const std::string& name) {
  const auto host = Host::open(name);
  if (!host)
    return complain(host.error());
  if (setns(host->descriptor(), CLONE_NEWNET) != 0)
    return complain(Error{"cannot enter the namespace of " + name + ": " + error_text(errno)});
  const char* path = std::getenv("PATH");
  setenv("PATH",
         fmt::format("{}:{}", program_directory().string(),
                     path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path)
             .c_str(),
         1);
  setenv("PS1", fmt::format("trap-lab {}# ", name).c_str(), 1);
  execlp("bash", "bash", "--norc", static_cast<char*>(nullptr));
  return complain(Error{"cannot run bash: " + error_text(errno)});
}

int cleanup_command() {
  if (geteuid() != 0)
    return complain(Error{"cleaning up needs root: it removes network namespaces and mounts"});
  auto lock = lock_lab();
  if (!lock)
    return complain(lock.error());
  const int removed = remove_all_hosts();
  fmt::print("{}\n",
             removed == 0 ? "Nothing was left behind." : fmt::format("Removed {} hosts.", removed));
  return 0;
}

int list_command(bool as_json) {
  if (!as_json) {
    for (const Registered& each : scenarios())
      fmt::print("{:<18} {}\n", each.scenario.name, each.scenario.goal);
    return 0;
  }
  auto list = nlohmann::ordered_json::array();
  for (const Registered& each : scenarios())
    list.push_back({{"name", each.scenario.name},
                    {"goal", each.scenario.goal},
                    {"room", each.room},
                    {"class", name_of(each.scenario.run_class)}});
  fmt::print("{}\n", list.dump(2));
  return 0;
}

int cells_command() {
  auto list = nlohmann::ordered_json::array();
  for (const Cell& cell : all_cells())
    list.push_back({{"axis", cell.axis},
                    {"name", cell.name},
                    {"outcome", text_of(cell.outcome)},
                    {"remark", cell.remark},
                    {"quick", cell.quick}});
  fmt::print("{}\n", list.dump(2));
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
  for (const Registered* scenario : *chosen) {
    outcomes.push_back(play(scenario->scenario, options, terminal));
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
