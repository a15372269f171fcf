// SPDX-License-Identifier: Apache-2.0
// trapctl ready.
#include <algorithm>

#include <fmt/core.h>

#include "ctl/parts.h"
#include "ctl/ready/readiness.h"
#include "ctl/table.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

ordered_json json_of(const std::vector<Readiness>& services) {
  auto listed = ordered_json::array();
  for (const Readiness& each : services) {
    listed.push_back(
        {{"service", each.service}, {"address", each.address}, {"ready", each.ready()}});
    if (each.ready())
      listed.back()["leads_to"] = each.leads_to;
    else
      listed.back()["reason"] = each.reason;
  }
  return listed;
}

void print(const std::vector<Readiness>& services) {
  std::vector<Row> rows;
  for (const Readiness& each : services)
    rows.push_back({each.service, each.address, each.ready() ? "ready" : "not ready",
                    each.ready() ? "leads to " + each.leads_to : each.reason});
  fmt::print("{}", format_rows(rows, ""));
}

} // namespace

Result<ExitCode> show_readiness(const ReadyRequest& request) {
  PartRequest server;
  server.part = "server";
  server.socket = request.socket;
  auto status = running_status(locations(server).front());
  if (!status)
    return status.error();
  if (status->is_null())
    return nothing_runs(server);
  const std::vector<Readiness> services = readiness_of(*status, request.service);
  const bool starting = status->value("state", "") == "starting";
  if (services.empty() && starting)
    return Error{"trap-server is still starting"};
  if (services.empty())
    return Error{fmt::format("trap-server has no service \"{}\": see trapctl status server",
                             request.service),
                 ExitCode::usage};
  if (request.json)
    fmt::print("{}\n", json_of(services).dump(2));
  else
    print(services);
  return std::ranges::all_of(services, &Readiness::ready) ? ExitCode::ok : ExitCode::failed;
}

} // namespace trap::ctl
