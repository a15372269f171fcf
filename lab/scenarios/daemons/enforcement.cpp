// SPDX-License-Identifier: Apache-2.0
// trap-guard's modes: what monitoring lets through and names, enforcing with a trial that runs out,
// also without the daemon, one that is confirmed, restarts and reloads in between, and warnings.
#include <cstdlib>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using nlohmann::json;

constexpr DaemonKind guard = DaemonKind::guard;

// Accepts every connection to port 80 of a host.
Result<Process> start_listener(const Host& host) {
  return Process::start(host.command({"python3", "-c",
                                      "import socket\n"
                                      "listener = socket.create_server(('', 80), backlog=512)\n"
                                      "while True: listener.accept()[0].close()\n"}));
}

class Enforcement {
public:
  Enforcement(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    unsetenv("SSH_CONNECTION");
    auto listener = start_listener(host_.host());
    scene_.check(static_cast<bool>(listener), "a service listens",
                 listener ? "" : listener.error().message);
    lets_in_in_the_end("without a guard");
    if (!configure("mode = \"monitor\"\n") || !host_.start(guard))
      return;
    monitoring();
    trials();
    configuration_and_commands();
    lockout();
    const Finished soon = command({"enforce", "--confirm", "soon"});
    scene_.check(soon.exit_code == 2 &&
                     count_lines(soon.output + soon.errors, "write 60s, 5m or 1h") == 1,
                 "a time that is none is refused", soon.output + soon.errors);
    scene_.done(host_.daemon(guard).stop(), "the guard stops");
    scene_.equal("3", std::to_string(command({"mode"}).exit_code), "no guard runs to be asked");
    unsetenv("SSH_CONNECTION");
  }

private:
  // The guard at the interface that the neighbour knocks at.
  bool configure(const std::string& mode) {
    return scene_.done(
        host_.daemon(guard).configure(mode + host_.configuration(guard), R"("trap0")"),
        "configuration: " + mode.substr(0, mode.find('\n')));
  }

  Finished command(std::vector<std::string> words) {
    words.insert(words.begin(), "guard");
    return host_.control(guard, std::move(words));
  }

  bool succeeds(std::vector<std::string> words) { return command(std::move(words)).exit_code == 0; }

  int reload() { return host_.control(guard, {"reload", "guard"}).exit_code; }

  // The mode as the program has it, as the configuration has it, and whether a trial runs.
  std::string modes() {
    const json status = host_.status(guard);
    return fmt::format("{} {} {}", status.value("mode", ""), status.value("configured_mode", ""),
                       status.contains("confirm_within_s") ? "trial" : "-");
  }

  std::string lets_in() { return host_.lets_in() ? "yes" : "no"; }

  void lets_in_in_the_end(const std::string& what) {
    host_.expect_to_become(
        "yes", [&] { return lets_in(); }, what + ": a connection is let in");
  }

  void modes_are(const std::string& wanted, const std::string& what) {
    scene_.equal(wanted, modes(), what);
  }

  void monitoring() {
    scene_.equal("1", std::to_string(host_.count_in_log(guard, "mode: monitor")),
                 "a guard that monitors says so when it starts");
    lets_in_in_the_end("monitoring");
    const json status = host_.status(guard);
    scene_.check(status["monitored"].value("drop-uninvited", 0) > 0 &&
                     !status["counters"].contains("drop-uninvited"),
                 "monitoring counts what it would have dropped", status.dump());
    scene_.equal("ok", status.value("state", ""),
                 "monitoring is no problem where it is configured");
    modes_are("monitor monitor -", "monitoring, as configured");
    host_.expect_to_become(
        "203.0.113.2 web drop-uninvited",
        [&] {
          const json named = host_.control_json(guard, {"guard", "suspects"});
          const json first = named.is_object() && !named["suspects"].empty() ? named["suspects"][0]
                                                                             : json::object();
          return fmt::format("{} {} {}", first.value("source", ""), first.value("service", ""),
                             first.value("verdict", ""));
        },
        "monitoring names the neighbour");
    const std::string suspects = command({"suspects"}).output;
    scene_.check(count_lines(suspects, "^203\\.0\\.113\\.2 .*drop-uninvited") == 1,
                 "monitoring names it for people, too", suspects);
    const std::string metrics =
        host_
            .run({"curl", "-sS", "--unix-socket", host_.daemon(guard).control_socket().string(),
                  "http://trap/metrics"})
            .output;
    scene_.check(count_lines(metrics, "^trap_enforcing\\{part=\"guard\"\\} 0") == 1 &&
                     count_lines(metrics, "^trap_monitored_packets_total\\{.*service=\"web\".*"
                                          "verdict=\"drop-uninvited\"\\} [1-9]") == 1,
                 "metrics tell the same", metrics);
    const Finished nothing = command({"confirm"});
    scene_.check(nothing.exit_code == 1 &&
                     count_lines(nothing.output + nothing.errors, "nothing to confirm") == 1,
                 "there is nothing to confirm", nothing.output + nothing.errors);
  }

  void trials() {
    const Finished trial = command({"enforce", "--confirm", "2s"});
    scene_.check(trial.exit_code == 0 &&
                     count_lines(trial.output, "mode: enforce, for [12] more seconds") == 1,
                 "enforcing on trial", trial.output + trial.errors);
    host_.expect_to_become(
        "monitor monitor -", [&] { return modes(); }, "it goes back by itself");
    lets_in_in_the_end("after the trial");
    host_.expect_to_become(
        "1", [&] { return std::to_string(host_.count_in_log(guard, "was not confirmed in time")); },
        "the log says so");

    scene_.check(succeeds({"enforce", "--confirm", "1h"}), "a longer trial begins", "no");
    scene_.equal("no", lets_in(), "on trial it drops");
    modes_are("enforce monitor trial", "on trial");
    host_.daemon(guard).kill();
    host_.start(guard, "starts again after SIGKILL");
    scene_.equal("no", lets_in(), "the trial goes on when the daemon was killed");
    modes_are("enforce monitor trial", "on trial, still");
    scene_.equal("0", std::to_string(reload()), "a reload");
    modes_are("enforce monitor trial", "a reload leaves the trial alone");
    scene_.check(succeeds({"confirm"}), "the trial is confirmed", "it is not");
    modes_are("enforce monitor -", "confirmed, it stays");
    scene_.equal("1", std::to_string(host_.count_in_log(guard, "mode: enforce, confirmed")),
                 "the log has it");
    scene_.done(host_.daemon(guard).stop(), "the guard stops");
    scene_.equal("1",
                 std::to_string(host_.count_in_log(
                     guard, "stopping: .*with keys until .* UTC; then only established "
                            "connections go on")),
                 "a stop says until when the keys last");
    host_.start(guard, "starts again");
    host_.expect_to_become(
        "yes monitor monitor -", [&] { return lets_in() + " " + modes(); },
        "a restart goes by the configuration");

    scene_.check(succeeds({"enforce", "--confirm", "2s"}), "a trial begins", "no");
    modes_are("enforce monitor trial", "a trial under way");
    host_.daemon(guard).kill();
    lets_in_in_the_end("the trial runs out without the daemon");
    host_.start(guard, "starts again");
    modes_are("monitor monitor -", "and stays run out");
  }

  void configuration_and_commands() {
    configure("mode = \"enforce\"\n");
    const std::string told = host_.control(guard, {"reload", "guard"}).output;
    scene_.check(count_lines(told, "mode from \"monitor\" to \"enforce\"") == 1,
                 "a reload tells of a mode that was changed", told);
    modes_are("enforce enforce -", "the reload takes it");
    scene_.equal("no", lets_in(), "and the guard drops");
    scene_.check(succeeds({"monitor"}), "monitoring against the configuration", "no");
    lets_in_in_the_end("monitoring against the configuration");
    scene_.equal("degraded", host_.status(guard).value("state", ""), "it is a problem");
    scene_.equal("4", std::to_string(host_.control(guard, {"status", "guard"}).exit_code),
                 "trapctl's exit code says so");
    scene_.equal("0", std::to_string(reload()), "a reload");
    modes_are("monitor enforce -", "a reload does not end it");
    scene_.check(succeeds({"enforce"}), "a command does", "it fails");
    modes_are("enforce enforce -", "enforcing as configured");
    scene_.equal("ok", host_.status(guard).value("state", ""), "all is well");
    scene_.equal("mode: enforce\n", command({"mode"}).output, "mode tells it in a word");
    scene_.equal("enforce", host_.control_json(guard, {"guard", "mode"}).value("mode", ""),
                 "and as JSON");
    scene_.check(succeeds({"monitor"}), "monitoring again", "it fails");
  }

  // An operator whose own SSH connection the guard would drop.
  void lockout() {
    setenv("SSH_CONNECTION", "203.0.113.2 50000 203.0.113.10 80", 1);
    const Finished warned = command({"enforce"});
    const std::string said = warned.output + warned.errors;
    scene_.check(warned.exit_code == 1 && count_lines(said, "") == 2,
                 "an operator who would be cut off is told in two lines", said);
    modes_are("monitor enforce -", "and nothing is changed");
    scene_.check(count_lines(said, "add \"203.0.113.2\" to \"trusted\"") == 1, "with what to do",
                 said);
    const auto checked = run(host_.daemon(guard).command({"--check-config"}), command_deadline);
    scene_.check(
        checked && checked->exit_code == 0 &&
            count_lines(checked->errors, "warning: your SSH connection from 203.0.113.2") == 1,
        "as --check-config warns", checked ? checked->errors : checked.error().message);
    scene_.check(succeeds({"enforce", "--confirm", "1h"}), "a trial needs no more",
                 "it is refused");
    modes_are("enforce enforce trial", "on trial");
    scene_.check(succeeds({"monitor"}), "monitoring again", "it fails");
    scene_.check(succeeds({"enforce", "--force"}), "nor does insisting", "it is refused");
    modes_are("enforce enforce -", "enforcing by force");
    scene_.check(succeeds({"monitor"}), "monitoring again", "it fails");
    setenv("SSH_CONNECTION", "203.0.113.2 50000 203.0.113.10 22", 1);
    scene_.check(succeeds({"enforce"}), "a connection to another port is no matter",
                 "it is refused");
  }

  static constexpr std::chrono::seconds command_deadline{10};
  Scene& scene_;
  DaemonHost& host_;
};

void enforcement(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    Enforcement{scene, *host}.play();
}

const Registration register_enforcement{{
    .name = "enforcement",
    .goal = "a guard monitors, enforces on trial, and warns an operator who would be cut off",
    .plan = daemons_plan(),
    .play = enforcement,
}};

} // namespace
} // namespace trap::lab
