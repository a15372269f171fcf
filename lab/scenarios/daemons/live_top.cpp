// SPDX-License-Identifier: Apache-2.0
// `trapctl top` on a terminal of its own: draws, ends with a key or a signal, and leaves the
// terminal as it was.
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view enter = "\033[?1049h", leave = "\033[?1049l";
constexpr milliseconds deadline{15000};

struct Terminals {
  Fd controller, terminal;
};

Result<Terminals> open_terminals() {
  Fd controller{posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)};
  if (!controller || grantpt(controller.get()) != 0 || unlockpt(controller.get()) != 0)
    return Error{"cannot make a terminal: " + error_text(errno)};
  Fd terminal{open(ptsname(controller.get()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!terminal)
    return Error{"cannot open a terminal: " + error_text(errno)};
  return Terminals{std::move(controller), std::move(terminal)};
}

// Everything that the child needs is made before fork().
pid_t start(const Command& command, int terminal) {
  std::vector<char*> argv;
  for (const std::string& argument : command.arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0)
    return pid;
  setsid();
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    dup2(terminal, standard);
  if (setns(command.network_namespace, CLONE_NEWNET) == 0)
    execv(argv[0], argv.data());
  _exit(127);
}

bool is_same(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag &&
         a.c_lflag == b.c_lflag;
}

void expect_screen(Scene& scene, DaemonHost& host, std::string_view key) {
  const std::string what = fmt::format("top on a terminal, {}", key);
  const auto terminals = open_terminals();
  termios before{}, during{}, after{};
  if (!scene.check(terminals && tcgetattr(terminals->terminal.get(), &before) == 0,
                   what + ": a terminal is there", terminals ? "" : terminals.error().message))
    return;
  const Command command = host.host().command(
      {"/usr/bin/env", "TERM=xterm", (program_directory() / "trapctl").string(), "top", "server",
       "--socket", host.daemon(DaemonKind::server).control_socket().string(), "--interval", "0.2"});
  const pid_t pid = start(command, terminals->terminal.get());
  std::string seen;
  const auto sees = [&](std::string_view wanted) {
    return becomes(
        [&] {
          char buffer[4096];
          for (ssize_t got; (got = read(terminals->controller.get(), buffer, sizeof buffer)) > 0;)
            seen.append(buffer, static_cast<std::size_t>(got));
          return seen.find(wanted) != std::string::npos;
        },
        deadline);
  };
  scene.check(sees("SYN-ACK"), what + ": a table of rates is drawn", seen);
  scene.check(seen.find(enter) != std::string::npos, what + ": on the alternate screen", seen);
  tcgetattr(terminals->terminal.get(), &during);
  scene.check((during.c_lflag & static_cast<tcflag_t>(ECHO)) == 0, what + ": keys are not echoed",
              "they are");
  if (key == "SIGINT")
    kill(pid, SIGINT);
  else
    scene.check(write(terminals->controller.get(), key.data(), key.size()) == 1,
                what + ": the key is pressed", error_text(errno));
  int status = -1;
  const bool ended = becomes([&] { return waitpid(pid, &status, WNOHANG) == pid; }, deadline);
  if (!ended) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  scene.check(ended && WIFEXITED(status) && WEXITSTATUS(status) == 0, what + ": it ends well",
              fmt::format("status {:#x}", status));
  scene.check(sees(leave), what + ": it leaves the alternate screen", seen);
  scene.check(tcgetattr(terminals->terminal.get(), &after) == 0 && is_same(before, after),
              what + ": the terminal is as before", "it is not");
}

void live_top(Scene& scene) {
  const auto host = DaemonHost::make(scene);
  if (!host || !host->start(DaemonKind::server))
    return;
  for (const std::string_view key : {"q", "SIGINT"})
    expect_screen(scene, *host, key);
}

const Registration register_live_top{{
    .name = "live-top",
    .goal = "trapctl top draws on a terminal, and restores it",
    .plan = daemons_plan(),
    .play = live_top,
}};

} // namespace
} // namespace trap::lab
