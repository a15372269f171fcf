// SPDX-License-Identifier: Apache-2.0
#include "ctl/parts.h"

#include <unistd.h>

#include <fmt/core.h>

#include "runtime/control/control_client.h"
#include "runtime/kernel/pin_holder.h"
#include "runtime/log.h"
#include "runtime/printable.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr int refused_to_user = 403;

// Names come from the host, an interface's may be an order to a terminal.
void make_printable(ordered_json& json) {
  if (json.is_string())
    json = printable(json.get_ref<const std::string&>());
  else if (json.is_structured())
    for (ordered_json& inner : json)
      make_printable(inner);
}

} // namespace

Result<ordered_json> read_object(const std::string& socket, const std::string& body) {
  ordered_json object = ordered_json::parse(body, nullptr, false);
  if (!object.is_object())
    return Error{
        fmt::format("control socket {}: the answer is not JSON: is this TRAP's socket?", socket)};
  make_printable(object);
  return object;
}

bool names_one(const PartRequest& request) {
  return !request.part.empty() || !request.socket.empty() || !request.pin_dir.empty();
}

std::vector<PartLocation> locations(const PartRequest& request) {
  std::vector<std::string> parts = {"server", "guard", "client"};
  if (!request.part.empty())
    parts = {request.part};
  else if (names_one(request))
    parts = {""};
  std::vector<PartLocation> all;
  for (const std::string& part : parts) {
    std::string socket =
        request.socket.empty() && !part.empty() ? "/run/trap/" + part + ".sock" : request.socket;
    // With another socket than the usual one, the usual pins may be another daemon's.
    std::string pin_dir = request.pin_dir.empty() && request.socket.empty()
                              ? "/sys/fs/bpf/trap/" + part
                              : request.pin_dir;
    all.push_back({part, socket, pin_dir});
  }
  return all;
}

Result<ordered_json> running_status(const PartLocation& location) {
  if (location.socket.empty())
    return ordered_json();
  auto answer = control_get(location.socket, "/status");
  if (!answer)
    return answer.error();
  if (!*answer)
    return ordered_json();
  if ((*answer)->http_status != 200)
    return Error{fmt::format("control socket {}: answered with HTTP status {}", location.socket,
                             (*answer)->http_status)};
  return read_object(location.socket, (*answer)->body);
}

Result<void> check_service_name(const std::string& name) {
  constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (name.empty() || name.find_first_not_of(letters) != std::string::npos)
    return Error{fmt::format("\"{}\" cannot be a service's name", name), ExitCode::usage};
  return {};
}

std::optional<DeafDaemon> deaf_daemon(const PartLocation& location) {
  const auto process =
      location.pin_dir.empty() ? std::nullopt : holder_of_pin_dir(location.pin_dir);
  if (!process)
    return std::nullopt;
  const bool is_named = !location.part.empty();
  return DeafDaemon{
      fmt::format("{} runs (process {}), and {}", is_named ? "trap-" + location.part : "a daemon",
                  *process,
                  location.socket.empty() ? "its control_socket is not known here"
                                          : "does not listen at " + location.socket),
      fmt::format("name its control_socket with --socket; if that is gone, {}, which loses nothing",
                  is_named ? "systemctl restart trap-" + location.part : "restart it")};
}

Error nothing_runs(const PartRequest& request) {
  for (const PartLocation& location : locations(request))
    if (const auto deaf = deaf_daemon(location))
      return {deaf->what + ": " + deaf->cure, ExitCode::failed};
  return {fmt::format("{}{}{}",
                      request.part.empty() ? "no part of TRAP runs here"
                                           : fmt::format("trap-{} does not run here", request.part),
                      request.socket.empty()
                          ? ""
                          : fmt::format(": nothing listens at control socket {}", request.socket),
                      geteuid() == 0 ? "" : "; root alone sees programs that work without it"),
          ExitCode::not_running};
}

Result<std::vector<ordered_json>> running_parts(const PartRequest& request) {
  std::vector<ordered_json> parts;
  std::vector<Error> refusals;
  for (const PartLocation& location : locations(request)) {
    auto status = running_status(location);
    if (!status)
      refusals.push_back(status.error());
    else if (!status->is_null())
      parts.push_back(std::move(*status));
  }
  if (parts.empty())
    return refusals.empty() ? nothing_runs(request) : refusals[0];
  for (const Error& refusal : refusals) // the user may read at one part and not at another
    log::final_error("trapctl", refusal.message);
  return parts;
}

Result<std::optional<ordered_json>> post(const std::string& socket, const std::string& path,
                                         const std::string& body) {
  auto answer = control_post(socket, path, body);
  if (!answer)
    return answer.error();
  if (!*answer)
    return std::optional<ordered_json>();
  auto object = read_object(socket, (*answer)->body);
  if (!object)
    return object.error();
  int status = (*answer)->http_status;
  if (status == 200)
    return std::optional(std::move(*object));
  return Error{object->value("error", fmt::format("control socket {}: answered with HTTP status {}",
                                                  socket, status)),
               status < 500 && status != refused_to_user ? ExitCode::usage : ExitCode::failed};
}

} // namespace trap::ctl
