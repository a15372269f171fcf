// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/running_part.h"

#include <ctime>
#include <unistd.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <systemd/sd-daemon.h>

#include "runtime/control/status_json.h"
#include "runtime/json_text.h"
#include "runtime/log.h"
#include "runtime/process/process_metrics.h"
#include "runtime/version.h"

namespace trap {
namespace {

constexpr std::uint64_t us_per_s = 1000000;
constexpr std::chrono::milliseconds log_problems_every{900}; // a tick comes a little early or late
constexpr std::chrono::seconds unit_opens_socket_within{5};  // --share-control, after READY

// systemd compares this with its own clock, so that a READY=1 sent before the reload does not end
// it.
void tell_systemd_reloading() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  std::uint64_t now_us = static_cast<std::uint64_t>(now.tv_sec) * us_per_s +
                         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now_us).c_str());
}

double unix_s() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

} // namespace

RunningPart::RunningPart(Part& part)
    : part_(part), since_(std::chrono::steady_clock::now()), start_unix_s_(unix_s()) {}

void RunningPart::watch_control(std::function<std::string()> problem) {
  std::lock_guard turn(turns_);
  control_problem_ = std::move(problem);
}

Result<void> RunningPart::start() {
  std::lock_guard turn(turns_);
  clock_.watch(read_host_clocks());
  Undo undo;
  if (auto started = part_.start(undo); !started)
    return started.error();
  undo.keep_everything();
  ready_ = true;
  ready_since_ = std::chrono::steady_clock::now();
  return {};
}

int RunningPart::event_fd() {
  std::lock_guard turn(turns_);
  return part_.event_fd();
}

void RunningPart::turn(bool events, bool tick) {
  std::lock_guard turn(turns_);
  if (events)
    part_.handle_events();
  if (!tick)
    return;
  part_.tick();
  const auto now = std::chrono::steady_clock::now();
  if (now - noted_ < log_problems_every)
    return;
  noted_ = now;
  clock_.watch(read_host_clocks());
  // A refused reload and a clock that was set have lines of their own.
  std::vector<std::string> problems = part_.problems();
  if (const std::string shut =
          now - ready_since_ > unit_opens_socket_within ? control_problem_() : std::string();
      !shut.empty())
    problems.push_back(shut);
  problem_log_.note(problems);
}

std::string RunningPart::status() {
  std::lock_guard turn(turns_);
  nlohmann::ordered_json status;
  status["part"] = part_.config().part;
  status["version"] = program_version;
  status["pid"] = getpid();
  auto up = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                  since_);
  status["uptime_s"] = static_cast<double>(up.count()) / 1000;
  status["state"] = "starting";
  if (ready_) {
    part_.describe(status);
    status["config"] = config_json(part_.shown_config());
    const std::vector<std::string> problems = this->problems();
    status["state"] = problems.empty() ? "ok" : "degraded";
    status["problems"] = problems;
  }
  return json_text(status, 2) + "\n";
}

std::vector<std::string> RunningPart::problems() {
  std::vector<std::string> problems = part_.problems();
  for (const std::string& own : {reload_problem_, control_problem_(), clock_.problem()}) {
    if (!own.empty())
      problems.push_back(own);
  }
  return problems;
}

void RunningPart::measure_daemon(Metrics& metrics) {
  const std::string& part = part_.config().part;
  metrics.gauge("trap_build_info", "1, labelled with the version",
                {{"part", part}, {"version", program_version}}, 1);
  metrics.gauge("trap_start_time_seconds", "Unix time at which the daemon was started",
                {{"part", part}}, start_unix_s_);
  measure_process(metrics, part);
  metrics.gauge("trap_ready", "1 once everything is attached", {{"part", part}}, ready_ ? 1 : 0);
  constexpr char reloads_help[] = "Reloads of the configuration";
  metrics.counter("trap_reloads_total", reloads_help, {{"part", part}, {"result", "applied"}},
                  static_cast<double>(reloads_applied_));
  metrics.counter("trap_reloads_total", reloads_help, {{"part", part}, {"result", "failed"}},
                  static_cast<double>(reloads_failed_));
  metrics.gauge("trap_last_reload_applied",
                "1 unless the last reload failed and the earlier configuration stays in force",
                {{"part", part}}, reload_problem_.empty() ? 1 : 0);
}

std::string RunningPart::metrics() {
  std::lock_guard turn(turns_);
  Metrics metrics;
  measure_daemon(metrics);
  if (ready_) {
    metrics.gauge("trap_problems",
                  "Reasons why the part does not work as configured; trapctl status lists them",
                  {{"part", part_.config().part}}, static_cast<double>(problems().size()));
    part_.measure(metrics);
  }
  return metrics.text();
}

ReadyAnswer RunningPart::readiness(const std::string& service) {
  std::lock_guard turn(turns_);
  return ready_ ? ready_answer(part_.readiness(), service) : starting_answer();
}

Result<std::string> RunningPart::reload() {
  std::lock_guard turn(turns_);
  if (!ready_)
    return Error{"still starting: reload when it is ready"};
  tell_systemd_reloading();
  auto applied = part_.reload();
  if (applied) {
    reloads_applied_++;
    reload_problem_.clear();
    log::info("reloaded: {}", *applied);
  } else {
    reloads_failed_++;
    reload_problem_ =
        fmt::format("the last reload failed, the earlier configuration stays in force: {}",
                    applied.error().message);
    log::error("not reloaded, the earlier configuration stays in force: {}",
               applied.error().message);
  }
  sd_notify(0, "READY=1");
  return applied;
}

Result<std::string> RunningPart::command(const std::vector<std::string>& words) {
  std::lock_guard turn(turns_);
  if (!ready_)
    return Error{"still starting: try again when it is ready"};
  return part_.command(words);
}

Result<std::string> RunningPart::explain(const ExplainRequest& request) {
  std::lock_guard turn(turns_);
  if (!ready_)
    return Error{"still starting: try again when it is ready"};
  return part_.explain(request);
}

} // namespace trap
