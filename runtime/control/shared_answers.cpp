// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/shared_answers.h"

#include <sstream>
#include <string_view>

namespace trap {
namespace {

constexpr std::string_view ready_path = "/ready";
constexpr std::string_view open_metrics_name = "application/openmetrics-text";
constexpr char text_metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char open_metrics_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

// OpenMetrics names a family of counters without the suffix of its samples, and has an end.
std::string open_metrics_of(const std::string& text) {
  constexpr std::string_view suffix = "_total";
  std::istringstream lines(text);
  std::string open;
  for (std::string line; std::getline(lines, line);) {
    const bool describes = line.starts_with("# HELP ") || line.starts_with("# TYPE ");
    const std::size_t end = describes ? line.find(' ', std::string_view("# HELP ").size()) : 0;
    if (describes && std::string_view(line).substr(0, end).ends_with(suffix))
      line.erase(end - suffix.size(), suffix.size());
    open += line + "\n";
  }
  return open + "# EOF\n";
}

} // namespace

bool asks_for_readiness(const HttpRequest& request) {
  return request.path == ready_path || request.path.starts_with(std::string(ready_path) + "/");
}

HttpAnswer answer_ready(const std::function<ReadyAnswer(const std::string& service)>& ready,
                        const HttpRequest& request) {
  const std::size_t slash = request.path.find('/', 1);
  ReadyAnswer answer =
      ready(slash == std::string::npos ? std::string() : request.path.substr(slash + 1));
  return {answer.http_status, json_type, std::move(answer.json) + "\n"};
}

HttpAnswer answer_metrics(const std::string& text, const HttpRequest& request) {
  if (request.accept.find(open_metrics_name) == std::string::npos)
    return {200, text_metrics_type, text};
  return {200, open_metrics_type, open_metrics_of(text)};
}

} // namespace trap
