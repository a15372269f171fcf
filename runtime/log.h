// SPDX-License-Identifier: Apache-2.0
// Logging to stderr for people (time, colour on a terminal), or to journald with fields. Each
// message is one line, with control characters escaped (runtime/printable.h). The logging library
// stays inside log.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace trap::log {

enum class Level { debug, info, warn, error };

// The things that a message is about, as fields of the journal: TRAP_SERVICE, TRAP_BACKEND,
// TRAP_INTERFACE. An empty one is left out. The message names them as well. TRAP_VERDICT needs no
// subject: it comes of each verdict that the message names.
struct Subject {
  std::string service = {};
  std::string backend = {};
  std::string interface = {};
};

// Is stderr the stream that systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)?
bool goes_to_journal();

// Call once, before the first message; messages before that are dropped. The part is the field
// TRAP_PART.
void start(Level level, const std::string& part);
bool is_debug();
void write(Level level, std::string_view message, const Subject& subject = {});

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

// The same, about something.
template <class... A>
void info(const Subject& subject, fmt::format_string<A...> format, A&&... arguments) {
  write(Level::info, fmt::format(format, std::forward<A>(arguments)...), subject);
}
template <class... A>
void warn(const Subject& subject, fmt::format_string<A...> format, A&&... arguments) {
  write(Level::warn, fmt::format(format, std::forward<A>(arguments)...), subject);
}

} // namespace trap::log
