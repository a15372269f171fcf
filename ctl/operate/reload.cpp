// SPDX-License-Identifier: Apache-2.0
// trapctl reload.
#include <fmt/core.h>

#include "ctl/parts.h"
#include "runtime/log.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

// The part's name as it gives it itself: with --socket alone it was not named.
std::string name_of(const Place& place) {
  if (!place.part.empty())
    return place.part;
  auto status = running_status(place);
  return status && status->is_object() ? status->value("part", "") : "";
}

} // namespace

// A part that refuses does not keep the others from theirs.
Result<ExitCode> reload(const PartRequest& request) {
  auto results = ordered_json::array();
  ExitCode worst = ExitCode::ok;
  for (const Place& place : places(request)) {
    std::string part = name_of(place);
    auto answer = post(place.socket, "/reload");
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
    fmt::print("{}\n", results.dump(2));
  return worst;
}

} // namespace trap::ctl
