// SPDX-License-Identifier: Apache-2.0
#include "ctl/top/live_screen.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/core.h>

namespace trap::ctl {
namespace {

constexpr char enter_screen[] = "\x1b[?1049h\x1b[?25l"; // the alternate screen, no cursor
constexpr char leave_screen[] = "\x1b[?25h\x1b[?1049l";
constexpr char cursor_home[] = "\x1b[H";
constexpr char clear_to_end_of_line[] = "\x1b[K";
constexpr char clear_below[] = "\x1b[J";

winsize size_of_terminal() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
    size = {24, 80, 0, 0};
  return size;
}

void put(const std::string& text) {
  fmt::print("{}", text);
  std::fflush(stdout);
}

bool asks_to_quit(const char* keys, ssize_t count) {
  return std::any_of(keys, keys + std::max<ssize_t>(count, 0),
                     [](char key) { return key == 'q' || key == 'Q' || key == '\x03'; });
}

} // namespace

bool LiveScreen::possible() {
  const char* terminal = getenv("TERM");
  return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal && *terminal != '\0' &&
         std::string_view(terminal) != "dumb";
}

LiveScreen::LiveScreen() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH})
    sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, &mask_before_);
  signals_ = Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  tcgetattr(STDIN_FILENO, &before_);
  termios live = before_;
  live.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  live.c_cc[VMIN] = 0;
  live.c_cc[VTIME] = 0;
  live.c_cc[VSUSP] = _POSIX_VDISABLE; // Ctrl-Z would leave a shell on the alternate screen
  tcsetattr(STDIN_FILENO, TCSANOW, &live);
  put(enter_screen);
}

LiveScreen::~LiveScreen() {
  put(leave_screen);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

void LiveScreen::draw(const std::string& page) const {
  winsize size = size_of_terminal();
  std::string text = cursor_home;
  std::size_t at = 0;
  for (unsigned row = 0; row < size.ws_row && at < page.size(); row++) {
    std::size_t end = std::min(page.find('\n', at), page.size());
    text += (row == 0 ? "" : "\r\n") +
            page.substr(at, std::min<std::size_t>(end - at, size.ws_col)) + clear_to_end_of_line;
    at = end + 1;
  }
  put(text + clear_below);
}

LiveScreen::Event LiveScreen::wait(double seconds) const {
  pollfd wanted[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
  if (poll(wanted, std::size(wanted), static_cast<int>(std::ceil(std::max(0.0, seconds) * 1000))) <=
      0)
    return Event::timeout;
  if (wanted[0].revents) {
    char keys[64];
    ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));
    if (count <= 0 || asks_to_quit(keys, count)) // 0: the terminal is gone
      return Event::quit;
  }
  signalfd_siginfo signal;
  bool resized = false;
  while (read(signals_.get(), &signal, sizeof(signal)) == sizeof(signal)) {
    if (signal.ssi_signo != SIGWINCH)
      return Event::quit;
    resized = true;
  }
  return resized ? Event::resized : Event::timeout;
}

} // namespace trap::ctl
