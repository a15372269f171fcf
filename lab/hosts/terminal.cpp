// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/terminal.h"

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

namespace trap::lab {

Terminal::Terminal(bool colours_wanted)
    : interactive_(isatty(STDOUT_FILENO) != 0),
      colours_(interactive_ && colours_wanted && std::getenv("NO_COLOR") == nullptr) {}

std::string Terminal::paint(std::string_view code, std::string_view text) const {
  return colours_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string{text};
}

void Terminal::heading(std::string_view text) const {
  fmt::print("\n{}\n", strong(text));
  std::fflush(stdout);
}

void Terminal::line(std::string_view text) const {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Terminal::begin(std::string_view what) const {
  if (!interactive_)
    return;
  fmt::print("  ..  {}", what);
  std::fflush(stdout);
}

void Terminal::end(bool ok, std::string_view what, std::string_view outcome) const {
  if (interactive_)
    fmt::print("\r\033[K");
  fmt::print("  {}  {}: {}\n", ok ? good("ok") : bad("NO"), what, outcome);
  std::fflush(stdout);
}

} // namespace trap::lab
