// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/daemon.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fmt/core.h>
#include <sodium.h>
#include <systemd/sd-daemon.h>

#include "runtime/control/control_access.h"
#include "runtime/control/control_server.h"
#include "runtime/control/metrics_server.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/log.h"
#include "runtime/output.h"
#include "runtime/printable.h"
#include "runtime/process/daemon_options.h"
#include "runtime/process/privilege.h"
#include "runtime/process/reload_request.h"
#include "runtime/process/running_part.h"
#include "runtime/takeover/noted_types.h"
#include "runtime/version.h"

namespace trap {
namespace {

constexpr long ns_per_ms = 1000000;

// Blocks SIGTERM, SIGINT and SIGHUP for all threads; they are read from the descriptor.
Result<Fd> take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Fd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd)
    return Error{fmt::format("cannot take signals: {}", error_text(errno))};
  return fd;
}

Result<Fd> make_ticker(unsigned period_ms) {
  Fd fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  timespec period = {period_ms / 1000, period_ms % 1000 * ns_per_ms};
  itimerspec regularly = {period, period};
  if (!fd || timerfd_settime(fd.get(), 0, &regularly, nullptr) != 0)
    return Error{fmt::format("cannot make a timer: {}", error_text(errno))};
  return fd;
}

// Did a signal ask to stop? SIGHUP asks to reload: its result is in the log, in status and in the
// metrics.
bool handle_signals(RunningPart& running, const Fd& signals) {
  signalfd_siginfo signal;
  while (read(signals.get(), &signal, sizeof(signal)) == sizeof(signal)) {
    if (signal.ssi_signo != SIGHUP)
      return true;
    static_cast<void>(running.reload());
  }
  return false;
}

// Returns when a signal asks to stop.
Result<void> loop(RunningPart& running, const Fd& signals, const Fd& ticker) {
  for (;;) {
    // A reload may have changed the descriptor of events; the next tick is soon enough to take it.
    pollfd wanted[] = {
        {signals.get(), POLLIN, 0}, {ticker.get(), POLLIN, 0}, {running.event_fd(), POLLIN, 0}};
    if (poll(wanted, std::size(wanted), -1) < 0) {
      if (errno == EINTR)
        continue;
      return Error{fmt::format("cannot wait for events: {}", error_text(errno))};
    }
    if (wanted[0].revents && handle_signals(running, signals))
      return {};
    std::uint64_t ticks;
    bool tick = wanted[1].revents && read(ticker.get(), &ticks, sizeof(ticks)) > 0;
    if (wanted[2].revents || tick)
      running.turn(wanted[2].revents != 0, tick);
  }
}

Result<void> check_surroundings(const Part& part) {
  if (auto kernel = check_kernel(); !kernel)
    return kernel.error();
  return check_privilege(part.needs_raw_sockets());
}

ControlHandlers handlers_of(RunningPart& running) {
  return {[&running] { return running.status(); },
          [&running] { return running.metrics(); },
          [&running](const std::string& service) { return running.readiness(service); },
          [&running] { return running.reload(); },
          [&running](const std::vector<std::string>& words) { return running.command(words); },
          [&running](const ExplainRequest& request) { return running.explain(request); }};
}

// From a part with keys to its end. What threads ask outlives the threads.
Result<void> serve(Part& part) {
  auto signals = take_signals();
  if (!signals)
    return signals.error();
  auto ticker = make_ticker(part.tick_ms());
  if (!ticker)
    return ticker.error();
  RunningPart running(part);
  auto control = ControlServer::make(part.config().control_socket, part.config().control_group,
                                     handlers_of(running));
  if (!control)
    return control.error();
  std::optional<MetricsServer> metrics;
  if (part.config().metrics_listen) {
    auto listener = MetricsServer::make(
        *part.config().metrics_listen,
        {[&running] { return running.metrics(); },
         [&running](const std::string& service) { return running.readiness(service); }});
    if (!listener)
      return listener.error();
    metrics.emplace(std::move(*listener));
  }
  running.watch_control([&control, &metrics] {
    const std::string problem = control->problem();
    return problem.empty() && metrics ? metrics->problem() : problem;
  });
  if (auto started = running.start(); !started)
    return started.error();
  log::info("ready: trap-{} {}, control socket {}{}", part.config().part, program_version,
            part.config().control_socket,
            metrics ? ", metrics at " + format_endpoint(*part.config().metrics_listen) : "");
  sd_notify(0, "READY=1\nSTATUS=attached");
  auto ended = loop(running, *signals, *ticker);
  running.watch_control([] { return std::string(); });
  sd_notify(0, "STOPPING=1");
  log::info("stopping: programs stay attached below {}{}", part.config().pin_dir,
            part.parting_words());
  return ended;
}

// For the unit, once the daemon is ready: the sandbox leaves it no right to change a file's group.
Result<void> share_control(const PartConfig& config) {
  if (config.control_group.empty())
    return {};
  auto group = find_group(config.control_group);
  return group ? open_to_group(config.control_socket, *group) : group.error();
}

// --detach of what is pinned at the usual place, though its configuration is gone or wrong: as when
// an administrator removes /etc/trap first, and the packages then. Else `wrong`.
Result<std::unique_ptr<Part>>
without_configuration(const Daemon& daemon, const DaemonOptions& options, const Error& wrong) {
  auto part = daemon.unconfigured();
  const std::string& pin_dir = part->config().pin_dir;
  if (options.config_path != usual_config_path(daemon.part) || list_pins(pin_dir).empty())
    return wrong;
  log::warn("{}: detaching what is pinned in {}", wrong.message, pin_dir);
  return part;
}

// For the unit. The daemon has told its log what came of it: in the journal, once is enough.
Result<ExitCode> ask_for_reload(const Daemon& daemon, const DaemonOptions& options) {
  auto part = daemon.read(options.config_path);
  const std::string socket =
      part ? (*part)->config().control_socket : daemon.unconfigured()->config().control_socket;
  auto outcome = request_reload(daemon.part, socket);
  if (!outcome)
    return outcome.error();
  if (log::goes_to_journal())
    return outcome->exit_code;
  if (outcome->exit_code == ExitCode::ok)
    fmt::print("trap-{}: {}\n", daemon.part, printable(outcome->line));
  else
    log::final_error("trap-" + daemon.part, "not reloaded: " + outcome->line);
  return outcome->exit_code;
}

Result<void> act(const Daemon& daemon, const DaemonOptions& options) {
  if (options.list_keys) {
    fmt::print("{}", options.json ? list_keys_json(daemon.keys) : list_keys(daemon.keys));
    return {};
  }
  if (sodium_init() < 0)
    return Error{"libsodium found no source of random numbers"};
  auto part = daemon.read(options.config_path);
  if (!part && options.detach)
    part = without_configuration(daemon, options, part.error());
  if (!part)
    return part.error();
  if (options.detach) {
    if (auto checked = check_surroundings(**part); !checked)
      return checked.error();
    return (*part)->detach();
  }
  if (options.share_control)
    return share_control((*part)->config());
  if (options.note_types)
    return note_types((*part)->config().pin_dir, daemon.part);
  if (options.closing_rules) {
    fmt::print("{}", (*part)->closing_rules());
    return {};
  }
  if (auto keys = (*part)->read_keys(); !keys)
    return keys.error();
  if (options.check_config) {
    const std::string& group = (*part)->config().control_group;
    if (auto found = group.empty() ? Result<gid_t>(0) : find_group(group); !found)
      return Error{fmt::format("{}: {}", options.config_path, found.error().message),
                   found.error().exit_code};
    if (auto could_start = (*part)->check_start(); !could_start)
      return could_start.error();
    for (const std::string& warning : (*part)->warnings())
      fmt::print(stderr, "{}\n",
                 printable(fmt::format("trap-{}: {}: warning: {}", daemon.part, options.config_path,
                                       warning)));
    fmt::print("{}: ok\n", printable(options.config_path));
    return {};
  }
  if (auto checked = check_surroundings(**part); !checked)
    return checked.error();
  return serve(**part);
}

} // namespace

int run_daemon(const Daemon& daemon, int argc, char** argv) {
  prepare_to_write();
  auto parsed = parse_daemon_options(daemon.part, daemon.description, argc, argv);
  if (auto* code = std::get_if<ExitCode>(&parsed))
    return static_cast<int>(*code);
  const auto& options = std::get<DaemonOptions>(parsed);
  log::start(options.log_level, daemon.part);
  redirect_libbpf_messages();
  auto done = print_whole([&]() -> Result<ExitCode> {
    if (options.reload)
      return ask_for_reload(daemon, options);
    if (auto acted = act(daemon, options); !acted)
      return acted.error();
    return ExitCode::ok;
  });
  if (done)
    return static_cast<int>(*done);
  // The unit's daemon reads the same file next, and says the same.
  const bool is_told_next =
      options.note_types && done.error().exit_code == ExitCode::usage && log::goes_to_journal();
  if (!is_told_next)
    log::final_error("trap-" + daemon.part, done.error().message);
  return static_cast<int>(done.error().exit_code);
}

} // namespace trap
