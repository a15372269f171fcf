// SPDX-License-Identifier: Apache-2.0
// trapctl ready.
#include <fmt/core.h>

#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/control/control_client.h"
#include "runtime/json_text.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

void print(const ordered_json& answer) {
  std::vector<Row> rows;
  for (const ordered_json& each : answer.value("services", ordered_json::array())) {
    const bool ready = each.value("ready", false);
    rows.push_back({each.value("service", ""), each.value("address", ""),
                    ready ? "ready" : "not ready",
                    ready ? "leads to " + each.value("leads_to", "") : each.value("reason", "")});
  }
  fmt::print("{}", rows.empty() ? answer.value("reason", "ready") + "\n" : format_rows(rows, ""));
}

} // namespace

Result<ExitCode> show_readiness(const ReadyRequest& request) {
  if (auto fits = check_service_name(request.service); !request.service.empty() && !fits)
    return fits.error();
  PartRequest server;
  server.part = "server";
  server.socket = request.socket;
  const std::string socket = locations(server).front().socket;
  auto answer =
      control_get(socket, request.service.empty() ? "/ready" : "/ready/" + request.service);
  if (!answer)
    return answer.error();
  if (!*answer)
    return nothing_runs(server);
  const int status = (*answer)->http_status;
  const auto body = read_object(socket, (*answer)->body);
  if (status != 200 && status != 503)
    return Error{
        body ? body->value("error", "") + ": see trapctl status server"
             : fmt::format("control socket {}: answered with HTTP status {}", socket, status),
        status == 404 ? ExitCode::usage : ExitCode::failed};
  if (!body)
    return body.error();
  if (request.json)
    fmt::print("{}\n", json_text(*body, 2));
  else
    print(*body);
  return status == 200 ? ExitCode::ok : ExitCode::failed;
}

} // namespace trap::ctl
