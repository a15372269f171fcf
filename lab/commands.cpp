// SPDX-License-Identifier: Apache-2.0
#include "lab/commands.h"

#include <cstdio>
#include <cstdlib>

#include <sched.h>
#include <unistd.h>

#include <fmt/format.h>

#include "lab/demo/demo.h"
#include "lab/hosts/interrupt.h"
#include "lab/hosts/session.h"

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

std::string summary_of_the_lab(Deployment& deployment) {
  return fmt::format("{} hosts, nginx on 3 of them; trap-server (XDP {}), trap-guard (XDP {}) and "
                     "trap-client (tc) at work",
                     places().size() + 1, mode_of(deployment.server()),
                     mode_of(deployment.guard()));
}

Result<int> play_demo(const Options& options, const Terminal& terminal) {
  terminal.begin("the lab comes up");
  auto topology = Topology::build();
  if (!topology)
    return topology.error();
  auto plain = Nginx::start(topology->host("plain"), {service_port});
  if (!plain)
    return plain.error();
  auto deployment = Deployment::start(*topology);
  if (!deployment)
    return deployment.error();

  terminal.end(true, "the lab is up", summary_of_the_lab(*deployment));

  Demo demo{*deployment, terminal};
  const auto played = demo.play();
  const std::string summary = demo_summary(demo.steps());
  const auto report = options.report.empty()
                          ? program_directory().parent_path() / "demo/report.json"
                          : options.report;
  if (auto written = write_report(report, demo.steps(), summary); !written)
    return written.error();
  if (!played)
    return played.error();

  terminal.heading("5. What was measured");
  terminal.line(table_of(demo.steps()));
  terminal.line(terminal.strong(summary));
  terminal.line(fmt::format("\nReport: {}", report.lexically_normal().string()));
  if (options.keep)
    say_that_it_stays(terminal);
  return demo.every_step_behaved() ? 0 : 1;
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
                            summary_of_the_lab(*deployment),
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

} // namespace trap::lab
