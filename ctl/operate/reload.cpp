// SPDX-License-Identifier: Apache-2.0
// trapctl reload.
#include <fmt/core.h>

#include "ctl/parts.h"
#include "runtime/json_text.h"
#include "runtime/log.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

// The part's name from its status, where only --socket was given.
std::string name_of(const PartLocation& location) {
  if (!location.part.empty())
    return location.part;
  auto status = running_status(location);
  return status && status->is_object() ? status->value("part", "") : "";
}

} // namespace

// The others reload even if one part refuses.
Result<ExitCode> reload(const PartRequest& request) {
  auto results = ordered_json::array();
  ExitCode worst = ExitCode::ok;
  for (const PartLocation& location : locations(request)) {
    std::string part = name_of(location);
    auto answer = post(location.socket, "/reload");
    if (answer && !*answer)
      continue;
    if (!answer) {
      worst = answer.error().exit_code;
      results.push_back({{"part", part}, {"error", answer.error().message}});
      log::final_error("trapctl",
                       fmt::format("trap-{}: not reloaded: {}", part, answer.error().message));
      continue;
    }
    std::string changed = (**answer).value("reloaded", "");
    results.push_back({{"part", part}, {"reloaded", changed}});
    if (!request.json)
      fmt::print("trap-{}: {}\n", part, changed);
  }
  if (results.empty())
    return nothing_runs(request);
  if (request.json)
    fmt::print("{}\n", json_text(results, 2));
  return worst;
}

} // namespace trap::ctl
