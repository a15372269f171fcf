// SPDX-License-Identifier: Apache-2.0
// trapctl guard mode, enforce, confirm, monitor and suspects.
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "ctl/duration.h"
#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/log.h"
#include "runtime/net/ssh_connection.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr char kDefaultSocket[] = "/run/trap/guard.sock";

// The answer to a command; an error if nobody listens.
Result<ordered_json> ask_guard(const std::string& socket, const std::string& path) {
  auto answer = post(socket, path);
  if (!answer)
    return answer.error();
  if (!*answer)
    return nothing_runs({"guard", socket, "", false});
  return std::move(**answer);
}

void print_mode(const ordered_json& conduct) {
  const std::string mode = conduct.value("mode", "");
  const std::string configured = conduct.value("configured_mode", "");
  std::string line = "mode: " + mode;
  if (conduct.contains("confirm_within_s"))
    line += fmt::format(
        ", for {} more seconds: confirm with trapctl guard confirm, or it monitors again",
        conduct["confirm_within_s"].get<std::uint64_t>());
  else if (mode == "monitor")
    line += ": nothing is dropped";
  if (mode != configured)
    line += fmt::format(" (the configuration says {}, which a restart goes by)", configured);
  fmt::print("{}\n", line);
}

Result<ExitCode> show_mode(const GuardRequest& request, const std::string& socket) {
  auto status = running_status({"guard", socket, ""});
  if (!status)
    return status.error();
  if (status->is_null())
    return nothing_runs({"guard", socket, "", false});
  ordered_json conduct;
  for (const char* key : {"mode", "configured_mode", "confirm_within_s"}) {
    if (status->contains(key))
      conduct[key] = (*status)[key];
  }
  if (request.json)
    fmt::print("{}\n", conduct.dump(2));
  else
    print_mode(conduct);
  return ExitCode::ok;
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
    fmt::print("{}\n", answer->dump(2));
  if (answer->value("refused", false))
    return Error{"the mode was not changed: mend that, or try it with a way back (--confirm 60s), "
                 "or insist (--force)"};
  if (!request.json)
    print_mode(*answer);
  return ExitCode::ok;
}

Result<ExitCode> change_mode(const GuardRequest& request, const std::string& socket) {
  auto answer = ask_guard(socket, "/" + request.action);
  if (!answer)
    return answer.error();
  if (request.json)
    fmt::print("{}\n", answer->dump(2));
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
    fmt::print("{}\n", answer->dump(2));
    return ExitCode::ok;
  }
  const ordered_json suspects = answer->value("suspects", ordered_json::array());
  if (suspects.empty()) {
    fmt::print("{}\n", answer->value("mode", "") == "monitor"
                           ? "nobody that enforcing would hit was seen yet"
                           : "nobody: suspects are named while the guard monitors");
    return ExitCode::ok;
  }
  std::vector<Row> rows = {{"SOURCE", "SEEN", "SERVICE", "WOULD BE", "LAST SEEN"}};
  for (const auto& suspect : suspects) {
    const std::string service = suspect.value("service", "");
    rows.push_back({suspect.value("source", ""), suspect["seen"].dump(),
                    service.empty() ? "-" : service, suspect.value("verdict", ""),
                    local_time(suspect.value("last_seen", std::uint64_t{0}))});
  }
  fmt::print("{}", format_rows(rows, "", 1, 2));
  return ExitCode::ok;
}

} // namespace

Result<ExitCode> manage_guard(const GuardRequest& request) {
  const std::string socket = request.socket.empty() ? kDefaultSocket : request.socket;
  if (request.action == "mode")
    return show_mode(request, socket);
  if (request.action == "enforce")
    return enforce(request, socket);
  if (request.action == "suspects")
    return show_suspects(request, socket);
  return change_mode(request, socket);
}

} // namespace trap::ctl
