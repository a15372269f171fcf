// SPDX-License-Identifier: Apache-2.0
// trapctl status: asks the daemons and decides on the exit code; what people see is in
// status_table.cpp.
#include <filesystem>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ctl/parts.h"
#include "ctl/status/status_table.h"
#include "runtime/kernel/xdp.h"

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;

bool has_pins(const std::string& pin_dir) {
  std::error_code failed;
  return !pin_dir.empty() && !std::filesystem::is_empty(pin_dir, failed) && !failed;
}

// What goes on without its daemon, and how to mend it. A client's tc filters cannot be told from
// here: they are in the network namespace of its host.
std::string left_behind(const Place& place) {
  const std::string daemon = place.part.empty() ? "its daemon" : "trap-" + place.part;
  const std::string start = place.part.empty() ? "start it" : "systemctl start trap-" + place.part;
  const std::vector<std::string> interfaces = attached_interfaces(place.pin_dir);
  if (!interfaces.empty())
    return fmt::format("{} does not run; its program goes on at {} with the keys it was left, for "
                       "seven hours at most: {}, which loses nothing",
                       daemon, fmt::join(interfaces, ", "), start);
  if (place.part == "client")
    return fmt::format(
        "{} does not run; its programs go on with what is pinned in {}: {}, which loses nothing",
        daemon, place.pin_dir, start);
  return fmt::format(
      "{} does not run, and what is pinned in {} is attached to no interface any more: {}", daemon,
      place.pin_dir, start);
}

// The part's own status; what can be said of one whose daemon is gone; null if there is nothing.
Result<ordered_json> ask(const Place& place) {
  auto status = running_status(place);
  if (!status || !status->is_null() || !has_pins(place.pin_dir))
    return status;
  return ordered_json{{"part", place.part.empty() ? "(unknown)" : place.part},
                      {"state", "degraded"},
                      {"problems", {left_behind(place)}}};
}

} // namespace

Result<ExitCode> show_status(const PartRequest& request) {
  auto found = ordered_json::array();
  bool degraded = false;
  for (const Place& place : places(request)) {
    auto status = ask(place);
    if (!status)
      return status.error();
    if (status->is_null())
      continue;
    degraded |= status->value("state", "") != "ok";
    found.push_back(*status);
  }
  bool single = names_one(request);
  if (request.json && (single ? !found.empty() : true))
    fmt::print("{}\n", (single ? found[0] : ordered_json{{"parts", found}}).dump(2));
  else if (!request.json)
    print_status(found);
  if (found.empty())
    return nothing_runs(request);
  return degraded ? ExitCode::degraded : ExitCode::ok;
}

} // namespace trap::ctl
