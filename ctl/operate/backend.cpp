// SPDX-License-Identifier: Apache-2.0
// trapctl backend list, drain and activate.
#include <algorithm>

#include <fmt/core.h>

#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/config/endpoint.h"
#include "runtime/json_text.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr char server_socket[] = "/run/trap/server.sock";

// A service's backends, for each of its addresses, with that address's share.
ordered_json backends_of(const ordered_json& status, const std::string& service) {
  auto found = ordered_json::array();
  for (const auto& entry : status.value("services", ordered_json::array())) {
    if (!service.empty() && entry.value("name", "") != service)
      continue;
    for (const auto& backend : entry.value("backends", ordered_json::array())) {
      ordered_json row = {{"service", entry.value("name", "")},
                          {"public_address", entry.value("address", "")}};
      row.update(backend);
      found.push_back(row);
    }
  }
  return found;
}

bool has_service(const ordered_json& status, const std::string& service) {
  const auto services = status.value("services", ordered_json::array());
  return std::any_of(services.begin(), services.end(),
                     [&](const auto& entry) { return entry.value("name", "") == service; });
}

std::string cell(const ordered_json& object, const char* key) {
  auto at = object.find(key);
  return at == object.end() ? "-"
         : at->is_string()  ? at->template get<std::string>()
                            : json_text(*at);
}

void print_backends(const ordered_json& backends) {
  std::vector<Row> rows = {
      {"SERVICE", "ADDRESS", "BACKEND", "GUARD", "POOL", "STATE", "HEALTH", "WEIGHT", "SHARE"}};
  for (const auto& backend : backends) {
    std::string pool = cell(backend, "pool");
    std::string share = backend.contains("share_percent")
                            ? fmt::format("{:.1f} %", backend.value("share_percent", 0.0))
                            : "-";
    rows.push_back({cell(backend, "service"), cell(backend, "public_address"),
                    cell(backend, "address"), cell(backend, "guard"), pool.empty() ? "-" : pool,
                    cell(backend, "state"), cell(backend, "health"), cell(backend, "weight"),
                    share});
  }
  fmt::print("{}", format_rows(rows, "", 7, 9));
}

Result<ExitCode> list(const BackendRequest& request, const std::string& socket) {
  auto status = running_status({"server", socket, ""});
  if (!status)
    return status.error();
  if (status->is_null())
    return nothing_runs({"server", socket, "", false});
  if (!request.service.empty() && !has_service(*status, request.service))
    return Error{fmt::format("trap-server has no service \"{}\": see trapctl status server",
                             request.service),
                 ExitCode::usage};
  ordered_json backends = backends_of(*status, request.service);
  if (request.json)
    fmt::print("{}\n", json_text(backends, 2));
  else
    print_backends(backends);
  return ExitCode::ok;
}

} // namespace

Result<ExitCode> manage_backends(const BackendRequest& request) {
  std::string socket = request.socket.empty() ? server_socket : request.socket;
  if (request.action == "list")
    return list(request, socket);
  if (auto fits = check_service_name(request.service); !fits)
    return fits.error();
  auto backend = parse_endpoint(request.backend);
  if (!backend)
    return Error{fmt::format("backend {}", backend.error().message), ExitCode::usage};
  std::string name = format_endpoint(*backend);
  auto answer =
      post(socket, fmt::format("/backends/{}/{}/{}", request.service, name, request.action));
  if (!answer)
    return answer.error();
  if (!*answer)
    return nothing_runs({"server", socket, "", false});
  if (request.json)
    fmt::print("{}\n", json_text(**answer, 2));
  else
    fmt::print("service {}: backend {} is {}\n", request.service, name,
               request.action == "drain" ? "draining" : "active");
  return ExitCode::ok;
}

} // namespace trap::ctl
