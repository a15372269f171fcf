// SPDX-License-Identifier: Apache-2.0
#include "runtime/log.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-journal.h>

#include "dataplane/verdict.h"
#include "runtime/printable.h"
#include "runtime/verdict_text.h"

namespace trap::log {
namespace {

std::shared_ptr<spdlog::logger> logger;
std::string part_name;
bool to_journal = false;

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
  case Level::debug:
    return spdlog::level::debug;
  case Level::info:
    return spdlog::level::info;
  case Level::warn:
    return spdlog::level::warn;
  case Level::error:
    return spdlog::level::err;
  }
  return spdlog::level::info;
}

// As in syslog(3).
int priority_of(Level level) {
  switch (level) {
  case Level::debug:
    return LOG_DEBUG;
  case Level::info:
    return LOG_INFO;
  case Level::warn:
    return LOG_WARNING;
  case Level::error:
    break;
  }
  return LOG_ERR;
}

// The verdicts that a line names, so that none can forget the field.
std::vector<std::string> verdicts_in(std::string_view message) {
  constexpr std::string_view of_names = "abcdefghijklmnopqrstuvwxyz-";
  std::vector<std::string> found;
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    const std::string_view name = verdict_name(verdict);
    for (std::size_t at = message.find(name); at != std::string_view::npos;
         at = message.find(name, at + 1)) {
      const std::size_t end = at + name.size();
      const bool begins = at == 0 || of_names.find(message[at - 1]) == std::string_view::npos;
      const bool ends =
          end == message.size() || of_names.find(message[end]) == std::string_view::npos;
      if (!begins || !ends)
        continue;
      found.emplace_back(name);
      break;
    }
  }
  return found;
}

bool send_to_journal(int priority, const std::string& message, const Subject& subject) {
  std::vector<std::string> fields = {
      "MESSAGE=" + message, fmt::format("PRIORITY={}", priority),
      fmt::format("SYSLOG_IDENTIFIER={}", program_invocation_short_name)};
  const std::pair<const char*, const std::string*> named[] = {
      {"TRAP_PART", &part_name},
      {"TRAP_SERVICE", &subject.service},
      {"TRAP_BACKEND", &subject.backend},
      {"TRAP_INTERFACE", &subject.interface}};
  for (const auto& [name, value] : named) {
    if (!value->empty())
      fields.push_back(fmt::format("{}={}", name, *value));
  }
  for (const std::string& verdict : verdicts_in(message))
    fields.push_back("TRAP_VERDICT=" + verdict);
  std::vector<iovec> parts;
  for (std::string& field : fields)
    parts.push_back({field.data(), field.size()});
  return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0;
}

// `<6>`: a priority prefix of sd-daemon(3), for a stream to the journal.
// Where the log cannot be written, on a full disk or to a journal that is gone, the program goes on
// as if it could: fmt would throw.
void write_to_stderr(const std::string& line) {
  std::fputs((line + "\n").c_str(), stderr);
}

void write_to_stream(int priority, const std::string& message) {
  write_to_stderr(fmt::format("<{}>{}", priority, message));
}

} // namespace

bool goes_to_journal() {
  const char* stream = getenv("JOURNAL_STREAM");
  struct stat here;
  return stream && fstat(STDERR_FILENO, &here) == 0 &&
         fmt::format("{}:{}", here.st_dev, here.st_ino) == stream;
}

void start(Level level, const std::string& part) {
  part_name = part;
  to_journal = goes_to_journal();
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  sink->set_pattern(isatty(STDERR_FILENO) ? "%H:%M:%S.%e %^%-5l%$ %v"
                                          : "%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
  logger = std::make_shared<spdlog::logger>("trap", std::move(sink));
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
}

bool is_debug() {
  return logger && logger->should_log(spdlog::level::debug);
}

void write(Level level, std::string_view message, const Subject& subject) {
  if (!logger || !logger->should_log(to_spdlog(level)))
    return;
  const std::string line = printable(message);
  if (!to_journal)
    logger->log(to_spdlog(level), spdlog::string_view_t(line));
  else if (!send_to_journal(priority_of(level), line, subject))
    write_to_stream(priority_of(level), line);
}

void final_error(std::string_view program, std::string_view message) {
  const std::string line = fmt::format("{}: {}", program, printable(message));
  if (goes_to_journal())
    write_to_stream(LOG_ERR, line);
  else
    write_to_stderr(line);
}

} // namespace trap::log
