// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/daemons.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/hosts/files.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds start_deadline{120000}, stop_deadline{30000}, control_deadline{30000};

// Missing or odd members read as empty: scenarios check values.
std::uint64_t unsigned_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string string_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

json member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() ? *found : json{};
}

// `trapctl status` may report one part or a list of parts.
json part_object(const json& report) {
  return report.is_array() && !report.empty() ? report.front() : report;
}

Counters counters_of(const json& object) {
  Counters counters;
  const json members = member(object, "counters");
  if (members.is_object())
    for (const auto& [verdict, packets] : members.items())
      if (packets.is_number_unsigned())
        counters[verdict] = packets.get<std::uint64_t>();
  return counters;
}

ServiceStatus service_of(const json& object) {
  ServiceStatus service{string_of(object, "name"),
                        string_of(object, "address"),
                        string_of(object, "listener"),
                        string_of(object, "cookies"),
                        string_of(object, "self_test"),
                        false,
                        unsigned_of(member(object, "handover_samples"), "lost"),
                        counters_of(object),
                        {}};
  if (const json active = member(object, "active"); active.is_boolean())
    service.active = active.get<bool>();
  for (const json& backend : member(object, "backends"))
    service.backends.push_back(
        {string_of(backend, "address"), string_of(backend, "state"), string_of(backend, "health")});
  return service;
}

Status parse_status(const json& report) {
  Status status;
  const json interfaces = member(report, "interfaces");
  if (interfaces.is_array() && !interfaces.empty()) {
    status.xdp_mode = string_of(interfaces.front(), "xdp_mode");
    status.tc_before = interfaces.front().value("tc_before", std::vector<std::string>{});
  }
  status.counters = counters_of(report);
  for (const json& problem : member(report, "problems"))
    if (problem.is_string())
      status.problems.push_back(problem.get<std::string>());
  if (const json services = member(report, "services"); services.is_array())
    std::ranges::transform(services, std::back_inserter(status.services), service_of);
  for (const json& redirect : member(report, "redirects"))
    status.redirects.push_back({string_of(redirect, "service"), string_of(redirect, "local"),
                                string_of(redirect, "backend")});
  const json announcements = member(report, "announcements");
  if (announcements.is_object())
    status.announcements_sent = unsigned_of(announcements, "sent");
  const json known = member(report, "known_connections");
  status.knows_connections = known.is_object() && known.value("trusted", false);
  status.flows = unsigned_of(report, "flows");
  if (const json states = member(report, "flow_states"); states.is_object())
    status.flows_established = unsigned_of(states, "established");
  status.announced = unsigned_of(report, "announced");
  return status;
}

} // namespace

std::string_view name_of(DaemonKind kind) {
  switch (kind) {
  case DaemonKind::server:
    return "server";
  case DaemonKind::guard:
    return "guard";
  case DaemonKind::client:
    return "client";
  }
  return "";
}

fs::path Daemon::file(std::string_view suffix) const {
  return host_->directory() / (std::string{name_of(kind_)} + std::string{suffix});
}

fs::path Daemon::log() const {
  return file(".log");
}

fs::path Daemon::configuration_file() const {
  return file(".toml");
}

fs::path Daemon::control_socket() const {
  return file(".sock");
}

fs::path Daemon::pin_directory() const {
  return host_->bpf_directory() / name_of(kind_);
}

Command Daemon::command(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(),
                   {(programs_ / fmt::format("trap-{}", name_of(kind_))).string(), "--config",
                    configuration_file().string()});
  return host_->command(std::move(arguments));
}

Command Daemon::program(std::vector<std::string> more) const {
  Command logged = command(std::move(more));
  logged.log = log();
  return logged;
}

std::string Daemon::last_log_line() const {
  const std::vector<std::string> last = last_lines(log(), 1);
  return last.empty() ? "it said nothing" : last.front();
}

Result<Daemon> Daemon::prepare(DaemonKind kind, const Host& host,
                               const std::string& configuration) {
  Daemon daemon{kind, host};
  if (auto written = daemon.configure(configuration); !written)
    return written.error();
  return daemon;
}

Result<void> Daemon::configure(const std::string& configuration, const std::string& interfaces) {
  const std::string head =
      fmt::format("interfaces = [{}]\npin_dir = \"{}\"\ncontrol_socket = \"{}\"\n", interfaces,
                  pin_directory().string(), control_socket().string());
  return write_text(configuration_file(), head + configuration);
}

Result<Finished> Daemon::control(std::vector<std::string> words) const {
  words.insert(words.begin(), (program_directory() / "trapctl").string());
  words.insert(words.end(), {"--socket", file(".sock").string()});
  return run(host_->command(words), control_deadline);
}

Result<void> Daemon::reload() {
  auto reloaded = control({"reload", std::string{name_of(kind_)}});
  if (!reloaded)
    return reloaded.error();
  if (reloaded->exit_code != 0)
    return Error{fmt::format("trapctl reload {}: exit code {}: {}", name_of(kind_),
                             reloaded->exit_code, reloaded->errors)};
  return {};
}

// Everything is attached once it says so; that the control socket answers is not enough.
bool Daemon::says_ready() const {
  std::ifstream lines{log()};
  lines.seekg(static_cast<std::streamoff>(log_before_));
  for (std::string line; std::getline(lines, line);)
    if (line.find(" ready: ") != std::string::npos)
      return true;
  return false;
}

Result<void> Daemon::launch() {
  std::error_code absent;
  const std::uintmax_t bytes = fs::file_size(log(), absent);
  log_before_ = absent ? 0 : bytes;
  Command daemon = program({"--log-level", "info"});
  daemon.as_unit = true;
  auto process = Process::start(daemon);
  if (!process)
    return process.error();
  process_ = std::move(*process);
  return {};
}

Result<void> Daemon::wait_until_ready() {
  bool ready = false;
  becomes(
      [&] {
        ready = says_ready() && status();
        return ready || !process_->running();
      },
      start_deadline);
  if (ready)
    return {};
  return Error{fmt::format("trap-{} on {} does not start: {}", name_of(kind_), host_->name(),
                           last_log_line())};
}

Result<void> Daemon::start() {
  if (auto launched = launch(); !launched)
    return launched;
  return wait_until_ready();
}

void Daemon::hang_up() const {
  if (pid() > 0)
    ::kill(pid(), SIGHUP);
}

Result<void> Daemon::stop() {
  if (!process_)
    return {};
  const Finished finished = process_->stop(SIGTERM, stop_deadline);
  process_.reset();
  if (finished.timed_out || finished.exit_code != 0)
    return Error{fmt::format("trap-{} on {} does not end well: {}", name_of(kind_), host_->name(),
                             finished.timed_out ? "no end after SIGTERM"
                                                : fmt::format("exit code {}", finished.exit_code))};
  return {};
}

void Daemon::kill() {
  if (process_)
    process_->stop(SIGKILL, stop_deadline);
  process_.reset();
}

Result<void> Daemon::detach() {
  if (auto stopped = stop(); !stopped)
    return stopped;
  auto detached = run(program({"--detach"}), stop_deadline);
  if (!detached)
    return detached.error();
  if (detached->exit_code != 0)
    return Error{fmt::format("trap-{} --detach on {}: exit code {}: {}", name_of(kind_),
                             host_->name(), detached->exit_code, last_log_line())};
  return {};
}

Result<void> Daemon::start_afresh() {
  if (auto detached = detach(); !detached)
    return detached;
  return start();
}

Result<Status> Daemon::status() const {
  auto asked = control({"status", std::string{name_of(kind_)}, "--json"});
  if (!asked)
    return asked.error();
  if (asked->exit_code != 0 && asked->exit_code != static_cast<int>(ExitCode::degraded))
    return Error{fmt::format("trapctl status {}: exit code {}: {}", name_of(kind_),
                             asked->exit_code, asked->errors)};
  const json report = part_object(json::parse(asked->output, nullptr, false));
  if (!report.is_object())
    return Error{fmt::format("trapctl status {} does not print an object: {}", name_of(kind_),
                             asked->output)};
  return parse_status(report);
}

Result<Counters> Daemon::counters() const {
  auto now = status();
  if (!now)
    return now.error();
  return std::move(now->counters);
}

} // namespace trap::lab
