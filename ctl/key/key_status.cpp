// SPDX-License-Identifier: Apache-2.0
// trapctl key status.
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "ctl/key/key_epochs.h"
#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/json_text.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

std::string local_time(std::int64_t unix_s) {
  std::time_t time = unix_s;
  std::tm broken_down = {};
  localtime_r(&time, &broken_down);
  return fmt::format("{:%Y-%m-%d %H:%M:%S %Z}", broken_down);
}

std::vector<KeyEpoch> epochs_of(const ordered_json& part) {
  const ordered_json& keys = part["keys"];
  return key_epochs(keys.value("epoch", std::uint64_t{1}),
                    keys.value("epochs_held", std::vector<std::uint64_t>{}));
}

ordered_json epochs_json(const std::vector<KeyEpoch>& epochs) {
  auto json = ordered_json::array();
  for (const KeyEpoch& epoch : epochs)
    json.push_back({{"epoch", epoch.epoch},
                    {"role", epoch.role},
                    {"since_unix_s", epoch.since_unix_s},
                    {"until_unix_s", epoch.until_unix_s},
                    {"held", epoch.held}});
  return json;
}

void print_epochs(const std::string& part, const std::vector<KeyEpoch>& epochs) {
  std::vector<Row> rows = {{"EPOCH", "", "SINCE", "UNTIL", "KEYS"}};
  for (const KeyEpoch& epoch : epochs)
    rows.push_back({std::to_string(epoch.epoch), epoch.role, local_time(epoch.since_unix_s),
                    local_time(epoch.until_unix_s), epoch.held ? "held" : "missing"});
  fmt::print("trap-{}\n{}", part, format_rows(rows, "  "));
}

} // namespace

Result<ExitCode> show_key_status(const PartRequest& request) {
  auto parts = running_parts(request);
  if (!parts)
    return parts.error();
  auto json = ordered_json::array();
  bool degraded = false;
  for (const ordered_json& part : *parts) {
    if (!part.contains("keys"))
      continue; // a client has none
    std::string name = part.value("part", "");
    std::vector<KeyEpoch> epochs = epochs_of(part);
    degraded |= !epochs[1].held;
    json.push_back({{"part", name}, {"epochs", epochs_json(epochs)}});
    if (!request.json)
      print_epochs(name, epochs);
  }
  if (json.empty())
    return Error{"no part with keys runs here: keys are the server's and the guard's",
                 ExitCode::not_running};
  if (request.json)
    fmt::print("{}\n", json_text(json, 2));
  return degraded ? ExitCode::degraded : ExitCode::ok;
}

} // namespace trap::ctl
