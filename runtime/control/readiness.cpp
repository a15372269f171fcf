// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/readiness.h"
#include "runtime/json_text.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace trap {

using nlohmann::ordered_json;

ReadyAnswer ready_answer(const std::vector<Readiness>& services, const std::string& service) {
  bool ready = true;
  auto listed = ordered_json::array();
  for (const Readiness& each : services) {
    if (!service.empty() && each.service != service)
      continue;
    ready &= each.ready();
    listed.push_back(
        {{"service", each.service}, {"address", each.address}, {"ready", each.ready()}});
    if (each.ready())
      listed.back()["leads_to"] = each.leads_to;
    else
      listed.back()["reason"] = each.reason;
  }
  if (!service.empty() && listed.empty())
    return {404,
            json_text(ordered_json{{"error", fmt::format("there is no service \"{}\"", service)}})};
  return {ready ? 200 : 503, json_text(ordered_json{{"ready", ready}, {"services", listed}}, 2)};
}

ReadyAnswer starting_answer() {
  return {503, json_text(ordered_json{{"ready", false}, {"reason", "still starting"}})};
}

} // namespace trap
