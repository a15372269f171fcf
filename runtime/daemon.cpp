// SPDX-License-Identifier: Apache-2.0
#include "runtime/daemon.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>
#include <systemd/sd-daemon.h>

#include "runtime/control_server.h"
#include "runtime/daemon_options.h"
#include "runtime/fd.h"
#include "runtime/log.h"
#include "runtime/pinned_object.h"
#include "runtime/privilege.h"

namespace trap {
namespace {

using Clock = std::chrono::steady_clock;

// The part and the lock under which the main loop and the control socket's thread take turns.
struct Shared {
  std::mutex lock;
  Part* part = nullptr;
  bool ready = false;
  Clock::time_point since = Clock::now();
};

std::string status_text(Shared& shared) {
  std::lock_guard guard(shared.lock);
  nlohmann::ordered_json status;
  std::vector<std::string> problems;
  status["part"] = shared.part->config().part;
  status["version"] = TRAP_VERSION_STRING;
  status["pid"] = getpid();
  status["uptime_s"] =
      static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - shared.since).count()) / 1000;
  status["state"] = "starting";
  if (shared.ready) {
    shared.part->describe(status, problems);
    status["state"] = problems.empty() ? "ok" : "degraded";
    status["problems"] = problems;
  }
  return status.dump(2) + "\n";
}

// Blocks SIGTERM and SIGINT for all threads; they are read from the descriptor.
Result<Fd> take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Fd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd)
    return Error{fmt::format("cannot take signals: {}", error_text(errno))};
  return fd;
}

Result<Fd> make_ticker() {
  Fd fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  itimerspec every_second = {{1, 0}, {1, 0}};
  if (!fd || timerfd_settime(fd.get(), 0, &every_second, nullptr) != 0)
    return Error{fmt::format("cannot make a timer: {}", error_text(errno))};
  return fd;
}

// Returns when a signal asks to stop.
Result<void> loop(Shared& shared, const Fd& signals, const Fd& ticker) {
  pollfd wanted[] = {{signals.get(), POLLIN, 0}, {ticker.get(), POLLIN, 0}, {shared.part->event_fd(), POLLIN, 0}};
  for (;;) {
    if (poll(wanted, std::size(wanted), -1) < 0) {
      if (errno == EINTR)
        continue;
      return Error{fmt::format("cannot wait for events: {}", error_text(errno))};
    }
    if (wanted[0].revents)
      return {};
    std::lock_guard guard(shared.lock);
    if (wanted[2].revents)
      shared.part->handle_events();
    std::uint64_t ticks;
    if (wanted[1].revents && read(ticker.get(), &ticks, sizeof(ticks)) > 0)
      shared.part->tick();
  }
}

Result<void> check_surroundings(const Part& part) {
  if (auto kernel = check_kernel(); !kernel)
    return kernel.error();
  return check_privilege(part.needs_raw_sockets());
}

// From a part with keys to its end. The part outlives the control server, whose thread asks it.
Result<void> serve(Part& part) {
  auto signals = take_signals();
  if (!signals)
    return signals.error();
  auto ticker = make_ticker();
  if (!ticker)
    return ticker.error();
  Shared shared;
  shared.part = &part;
  auto control = ControlServer::make(part.config().control_socket, [&shared] { return status_text(shared); });
  if (!control)
    return control.error();
  {
    std::lock_guard guard(shared.lock);
    Undo undo;
    if (auto started = part.start(undo); !started)
      return started.error();
    undo.keep_everything();
    shared.ready = true;
  }
  log::info("ready: trap-{} " TRAP_VERSION_STRING ", control socket {}", part.config().part, part.config().control_socket);
  sd_notify(0, "READY=1\nSTATUS=attached");
  auto ended = loop(shared, *signals, *ticker);
  sd_notify(0, "STOPPING=1");
  log::info("stopping: programs stay attached below {}", part.config().pin_dir);
  return ended;
}

Result<void> act(const Daemon& daemon, const DaemonOptions& options) {
  if (sodium_init() < 0)
    return Error{"libsodium found no source of random numbers"};
  auto part = daemon.read(options.config_path);
  if (!part)
    return part.error();
  if (options.detach) {
    if (auto checked = check_surroundings(**part); !checked)
      return checked.error();
    return (*part)->detach();
  }
  if (auto keys = (*part)->read_keys(); !keys)
    return keys.error();
  if (options.check_config) {
    fmt::print("{}: ok\n", options.config_path);
    return {};
  }
  if (auto checked = check_surroundings(**part); !checked)
    return checked.error();
  return serve(**part);
}

} // namespace

int run_daemon(const Daemon& daemon, int argc, char** argv) {
  auto parsed = parse_daemon_options(daemon.part, daemon.description, argc, argv);
  if (auto* code = std::get_if<ExitCode>(&parsed))
    return static_cast<int>(*code);
  const auto& options = std::get<DaemonOptions>(parsed);
  log::start(options.log_level);
  redirect_libbpf_messages();
  auto done = act(daemon, options);
  if (done)
    return static_cast<int>(ExitCode::ok);
  log::final_error("trap-" + daemon.part, done.error().message);
  return static_cast<int>(done.error().exit_code);
}

} // namespace trap
