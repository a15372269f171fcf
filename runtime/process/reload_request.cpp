// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/reload_request.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "runtime/control/command_words.h"
#include "runtime/control/control_client.h"

namespace trap {
namespace {

using nlohmann::json;

// The process that systemd calls the unit's main one.
std::optional<int> main_process() {
  const char* text = getenv("MAINPID");
  const auto number = text ? number_in(text) : std::nullopt;
  if (!number || *number < 2 || *number > std::numeric_limits<pid_t>::max())
    return std::nullopt;
  return static_cast<int>(*number);
}

// The Unix socket at which a process listens: its configuration may be another by now, or wrong.
// Nothing where the kernel does not tell, as with hidden processes.
std::optional<std::string> socket_of(int process) {
  std::set<std::string> held; // "socket:[INODE]"
  std::error_code failed;
  for (const auto& entry :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", process), failed))
    held.insert(std::filesystem::read_symlink(entry, failed).string());
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    constexpr unsigned long accepts = 1UL << 16; // __SO_ACCEPTCON
    std::istringstream words(line);
    std::string address, references, protocol, type, state, inode, path;
    unsigned long flags = 0;
    if (words >> address >> references >> protocol >> std::hex >> flags >> type >> state >> inode &&
        std::getline(words >> std::ws, path) && (flags & accepts) && path.starts_with('/') &&
        held.contains(fmt::format("socket:[{}]", inode)))
      return path;
  }
  return std::nullopt;
}

// Empty if the daemon that is meant answers at the socket, else what is there.
std::string reason_not_to_ask(const std::string& part, const std::string& socket,
                              std::optional<int> process) {
  auto answer = control_get(socket, "/status");
  if (!answer)
    return answer.error().message;
  if (!*answer)
    return fmt::format("nothing listens at control socket {}", socket);
  const json status = json::parse((*answer)->body, nullptr, false);
  if (!status.is_object() || status.value("part", json()) != json(part))
    return fmt::format("what listens at control socket {} is no trap-{}", socket, part);
  if (process && status.value("pid", json()) != json(*process))
    return fmt::format("another process than {} listens at control socket {}", *process, socket);
  return "";
}

// 400 is the HTTP status of a configuration that is wrong.
ReloadOutcome outcome_of(const ControlAnswer& answer) {
  const json said = json::parse(answer.body, nullptr, false);
  const auto line = [&](const char* name) {
    return said.is_object() && said.contains(name) && said[name].is_string()
               ? said[name].get<std::string>()
               : fmt::format("the daemon answered with HTTP status {}", answer.http_status);
  };
  if (answer.http_status == 200)
    return {ExitCode::ok, line("reloaded")};
  return {answer.http_status == 400 ? ExitCode::usage : ExitCode::failed, line("error")};
}

} // namespace

Result<ReloadOutcome> request_reload(const std::string& part, const std::string& configured) {
  const auto process = main_process();
  const auto found = process ? socket_of(*process) : std::nullopt;
  const std::string& socket = found ? *found : configured;
  const std::string reason = reason_not_to_ask(part, socket, process);
  if (!reason.empty() && !process)
    return Error{
        fmt::format("{}: if trap-{} runs, name its configuration by --config", reason, part),
        ExitCode::not_running};
  if (!reason.empty()) {
    const bool told = kill(*process, SIGHUP) == 0;
    return Error{fmt::format("{}: process {} {}", reason, *process,
                             told ? "was asked by SIGHUP, and its log alone has the outcome"
                                  : "cannot be asked by SIGHUP either: " + error_text(errno))};
  }
  auto answer = control_post(socket, "/reload", "");
  if (!answer)
    return answer.error();
  if (!*answer)
    return Error{fmt::format("trap-{} ended meanwhile", part), ExitCode::not_running};
  return outcome_of(**answer);
}

} // namespace trap
