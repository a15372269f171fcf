// SPDX-License-Identifier: Apache-2.0
// trapctl guard mode, enforce, confirm, monitor and suspects.
#include <charconv>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/json_text.h"
#include "runtime/log.h"
#include "runtime/net/ssh_connection.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr char guard_socket[] = "/run/trap/guard.sock";

// The answer to a command; an error if nothing listens.
Result<ordered_json> ask_guard(const std::string& socket, const std::string& path) {
  auto answer = post(socket, path);
  if (!answer)
    return answer.error();
  if (!*answer)
    return nothing_runs({"guard", socket, "", false});
  return std::move(**answer);
}

void print_mode(const ordered_json& enforcement) {
  const std::string mode = enforcement.value("mode", "");
  const std::string configured = enforcement.value("configured_mode", "");
  std::string line = "mode: " + mode;
  if (enforcement.contains("confirm_within_s"))
    line += fmt::format(
        ", for {} more seconds: confirm with trapctl guard confirm, or it monitors again",
        enforcement["confirm_within_s"].get<std::uint64_t>());
  else if (mode == "monitor")
    line += ": nothing is dropped";
  if (mode != configured)
    line += fmt::format(" (the configuration says {}, which a restart applies)", configured);
  fmt::print("{}\n", line);
}

Result<ExitCode> show_mode(const GuardRequest& request, const std::string& socket) {
  auto status = running_status({"guard", socket, ""});
  if (!status)
    return status.error();
  if (status->is_null())
    return nothing_runs({"guard", socket, "", false});
  ordered_json enforcement;
  for (const char* key : {"mode", "configured_mode", "confirm_within_s"}) {
    if (status->contains(key))
      enforcement[key] = (*status)[key];
  }
  if (request.json)
    fmt::print("{}\n", json_text(enforcement, 2));
  else
    print_mode(enforcement);
  return ExitCode::ok;
}

// "90", "90s", "5m" or "1h" in seconds: from a second to a day.
Result<std::uint64_t> parse_duration_s(const std::string& text) {
  constexpr std::uint64_t seconds_per_day = 86400;
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const std::uint64_t unit_s = unit.empty() || unit == "s" ? 1
                               : unit == "m"               ? 60
                               : unit == "h"               ? 3600
                                                           : 0;
  if (failed != std::errc() || unit_s == 0 || number == 0 || number > seconds_per_day ||
      number * unit_s > seconds_per_day)
    return Error{fmt::format("\"{}\" is no time: write 60s, 5m or 1h, up to a day", text),
                 ExitCode::usage};
  return number * unit_s;
}

Result<std::string> enforce_path(const GuardRequest& request) {
  std::string path = "/enforce";
  if (request.force)
    path += "/force";
  if (!request.confirm.empty()) {
    auto seconds = parse_duration_s(request.confirm);
    if (!seconds)
      return Error{"--confirm: " + seconds.error().message, seconds.error().exit_code};
    path += fmt::format("/for/{}", *seconds);
  }
  if (auto ssh = find_ssh_connection())
    path += fmt::format("/operator/{}/{}", format_address(ssh->client), ssh->server_port);
  return path;
}

Result<ExitCode> enforce(const GuardRequest& request, const std::string& socket) {
  auto path = enforce_path(request);
  if (!path)
    return path.error();
  auto answer = ask_guard(socket, *path);
  if (!answer)
    return answer.error();
  for (const auto& warning : answer->value("warnings", ordered_json::array()))
    log::final_error("trapctl", "warning: " + warning.get<std::string>());
  if (request.json)
    fmt::print("{}\n", json_text(*answer, 2));
  if (answer->value("refused", false))
    return Error{"the mode was not changed: mend the cause, or enforce for a time (--confirm 60s), "
                 "or in spite of it (--force)"};
  if (!request.json)
    print_mode(*answer);
  return ExitCode::ok;
}

Result<ExitCode> change_mode(const GuardRequest& request, const std::string& socket) {
  auto answer = ask_guard(socket, "/" + request.action);
  if (!answer)
    return answer.error();
  if (request.json)
    fmt::print("{}\n", json_text(*answer, 2));
  else
    print_mode(*answer);
  return ExitCode::ok;
}

std::string local_time(std::uint64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm broken_down = {};
  localtime_r(&time, &broken_down);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", broken_down);
}

Result<ExitCode> show_suspects(const GuardRequest& request, const std::string& socket) {
  auto answer = ask_guard(socket, "/suspects");
  if (!answer)
    return answer.error();
  if (request.json) {
    fmt::print("{}\n", json_text(*answer, 2));
    return ExitCode::ok;
  }
  const ordered_json suspects = answer->value("suspects", ordered_json::array());
  if (suspects.empty()) {
    fmt::print("{}\n", answer->value("mode", "") == "monitor"
                           ? "no source that enforcing would hit was seen yet"
                           : "none: suspects are named while the guard monitors");
    return ExitCode::ok;
  }
  std::vector<Row> rows = {{"SOURCE", "SEEN", "SERVICE", "WOULD BE", "LAST SEEN"}};
  for (const auto& suspect : suspects) {
    const std::string service = suspect.value("service", "");
    rows.push_back({suspect.value("source", ""), json_text(suspect["seen"]),
                    service.empty() ? "-" : service, suspect.value("verdict", ""),
                    local_time(suspect.value("last_seen", std::uint64_t{0}))});
  }
  fmt::print("{}", format_rows(rows, "", 1, 2));
  return ExitCode::ok;
}

} // namespace

Result<ExitCode> manage_guard(const GuardRequest& request) {
  const std::string socket = request.socket.empty() ? guard_socket : request.socket;
  if (request.action == "mode")
    return show_mode(request, socket);
  if (request.action == "enforce")
    return enforce(request, socket);
  if (request.action == "suspects")
    return show_suspects(request, socket);
  return change_mode(request, socket);
}

} // namespace trap::ctl
