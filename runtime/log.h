// SPDX-License-Identifier: Apache-2.0
// Logging to stderr for people (time, colour on a terminal) or for journald (priority prefix, no
// time). Each message is one line, with control characters escaped (runtime/printable.h). The
// logging library stays inside log.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace trap::log {

enum class Level { debug, info, warn, error };

// Call once, before the first message; messages before that are dropped.
void start(Level level);
bool is_debug();
void write(Level level, std::string_view message);

// One line "program: message" on stderr, for errors that end a program.
void final_error(std::string_view program, std::string_view message);

template <class... A> void debug(fmt::format_string<A...> format, A&&... arguments) {
  if (is_debug())
    write(Level::debug, fmt::format(format, std::forward<A>(arguments)...));
}
template <class... A> void info(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::info, fmt::format(format, std::forward<A>(arguments)...));
}
template <class... A> void warn(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::warn, fmt::format(format, std::forward<A>(arguments)...));
}
template <class... A> void error(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::error, fmt::format(format, std::forward<A>(arguments)...));
}

} // namespace trap::log
