// SPDX-License-Identifier: Apache-2.0
// trapctl status: asks the daemons and decides on the exit code; what people see is in status_table.cpp.
#include <filesystem>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "ctl/commands.h"
#include "ctl/control_client.h"
#include "ctl/status_table.h"

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;

struct Where {
  std::string part; // empty: whatever part answers
  std::string socket;
  std::string pin_dir;
};

std::vector<Where> places(const StatusRequest& request) {
  std::vector<std::string> parts = {"server", "guard", "client"};
  if (!request.part.empty())
    parts = {request.part};
  else if (!request.socket.empty() || !request.pin_dir.empty())
    parts = {""};
  std::vector<Where> all;
  for (const std::string& part : parts) {
    std::string socket = request.socket.empty() && !part.empty() ? "/run/trap/" + part + ".sock" : request.socket;
    // With another socket than the usual one, the usual pins may be another daemon's.
    std::string pin_dir = request.pin_dir.empty() && request.socket.empty() ? "/sys/fs/bpf/trap/" + part : request.pin_dir;
    all.push_back({part, socket, pin_dir});
  }
  return all;
}

bool has_pins(const std::string& pin_dir) {
  std::error_code failed;
  return !pin_dir.empty() && !std::filesystem::is_empty(pin_dir, failed) && !failed;
}

// The part's own status; what can be said of one whose daemon is gone; null if there is nothing.
Result<ordered_json> ask(const Where& where) {
  if (!where.socket.empty()) {
    auto text = fetch_status(where.socket);
    if (!text)
      return text.error();
    if (*text) {
      ordered_json status = ordered_json::parse(**text, nullptr, false);
      if (!status.is_object())
        return Error{fmt::format("control socket {}: the answer is not JSON: is this TRAP's socket?", where.socket)};
      return status;
    }
  }
  if (!has_pins(where.pin_dir))
    return ordered_json();
  std::string problem = fmt::format("the daemon does not run; its programs stay attached with what is pinned in {}", where.pin_dir);
  return ordered_json{{"part", where.part.empty() ? "(unknown)" : where.part}, {"state", "degraded"}, {"problems", {problem}}};
}

} // namespace

Result<ExitCode> show_status(const StatusRequest& request) {
  auto found = ordered_json::array();
  bool degraded = false;
  for (const Where& where : places(request)) {
    auto status = ask(where);
    if (!status)
      return status.error();
    if (status->is_null())
      continue;
    degraded |= status->value("state", "") != "ok";
    found.push_back(*status);
  }
  bool single = !request.part.empty() || !request.socket.empty() || !request.pin_dir.empty();
  if (request.json && (single ? !found.empty() : true))
    fmt::print("{}\n", (single ? found[0] : ordered_json{{"parts", found}}).dump(2));
  else if (!request.json)
    print_status(found);
  if (found.empty())
    return Error{request.part.empty() ? "no part of TRAP runs here" : fmt::format("trap-{} does not run here", request.part),
                 ExitCode::not_running};
  return degraded ? ExitCode::degraded : ExitCode::ok;
}

} // namespace trap::ctl
