// SPDX-License-Identifier: Apache-2.0
#include "runtime/log.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unistd.h>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include "runtime/printable.h"

namespace trap::log {
namespace {

std::shared_ptr<spdlog::logger> logger;

// `<6>`: what sd-daemon(3) calls a priority prefix.
class PriorityFlag : public spdlog::custom_flag_formatter {
public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const char* prefix = message.level >= spdlog::level::err    ? "<3>"
                         : message.level == spdlog::level::warn ? "<4>"
                         : message.level == spdlog::level::info ? "<6>"
                                                                : "<7>";
    out.append(prefix, prefix + 3);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PriorityFlag>();
  }
};

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

bool goes_to_journal() {
  return getenv("JOURNAL_STREAM") != nullptr && !isatty(STDERR_FILENO);
}

} // namespace

void start(Level level) {
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PriorityFlag>('*');
  if (goes_to_journal())
    formatter->set_pattern("%*%v");
  else if (isatty(STDERR_FILENO))
    formatter->set_pattern("%H:%M:%S.%e %^%-5l%$ %v");
  else
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
  sink->set_formatter(std::move(formatter));
  logger = std::make_shared<spdlog::logger>("trap", std::move(sink));
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
}

bool is_debug() {
  return logger && logger->should_log(spdlog::level::debug);
}

void write(Level level, std::string_view message) {
  if (logger)
    logger->log(to_spdlog(level), spdlog::string_view_t(printable(message)));
}

void final_error(std::string_view program, std::string_view message) {
  fmt::print(stderr, "{}{}: {}\n", goes_to_journal() ? "<3>" : "", program, printable(message));
}

} // namespace trap::log
