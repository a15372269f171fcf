// SPDX-License-Identifier: Apache-2.0
// trapctl status: asks the daemons and decides on the exit code; status_table.cpp prints.
#include <filesystem>

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ctl/parts.h"
#include "ctl/status/status_table.h"
#include "runtime/attach/tc_filter.h"
#include "runtime/attach/xdp.h"
#include "runtime/fd.h"
#include "runtime/json_text.h"
#include "runtime/log.h"
#include "runtime/takeover/takeover.h"

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;

bool has_pins(const std::string& pin_dir) {
  std::error_code failed;
  return !pin_dir.empty() && !std::filesystem::is_empty(pin_dir, failed) && !failed;
}

// Those of a server with attach = "tc".
std::vector<std::string> interfaces_at_tc(const std::string& pin_dir) {
  const Fd program(bpf_obj_get((pin_dir + "/program-tc").c_str()));
  const KnownProgram known[] = {known_program(program.get())};
  return program ? interfaces_with_filter({Direction::ingress, "trap_server_tc"}, known)
                 : std::vector<std::string>();
}

// The programs that work without their daemon, and the remedy. A client's tc filters are in the
// network namespace of its host, and are not visible from here.
std::string left_behind(const PartLocation& location) {
  const std::string daemon = location.part.empty() ? "its daemon" : "trap-" + location.part;
  const std::string start =
      location.part.empty() ? "start it" : "systemctl start trap-" + location.part;
  if (read_layout_number(location.pin_dir) > layout_number)
    return fmt::format("{} does not run; its programs work on with the keys they have, for seven "
                       "hours at most, and their maps in {} are of a later version than this one: "
                       "start that version again",
                       daemon, location.pin_dir);
  std::vector<std::string> interfaces = attached_interfaces(location.pin_dir);
  for (const std::string& interface : interfaces_at_tc(location.pin_dir))
    interfaces.push_back(interface);
  if (!interfaces.empty())
    return fmt::format("{} does not run; its program works on at {} with the keys it has, for "
                       "seven hours at most: {}, which loses nothing",
                       daemon, fmt::join(interfaces, ", "), start);
  if (location.part == "client")
    return fmt::format(
        "{} does not run; its programs work on with the maps pinned in {}: {}, which loses nothing",
        daemon, location.pin_dir, start);
  return fmt::format(
      "{} does not run, and the pins in {} are attached to no interface any more: {}", daemon,
      location.pin_dir, start);
}

// The part's own status; without its daemon, a problem that says so; null if nothing is there.
Result<ordered_json> ask(const PartLocation& location) {
  auto status = running_status(location);
  if (!status || !status->is_null() || !has_pins(location.pin_dir))
    return status;
  const auto deaf = deaf_daemon(location);
  return ordered_json{
      {"part", location.part.empty() ? "(unknown)" : location.part},
      {"state", "degraded"},
      {"problems", {deaf ? deaf->what + ": " + deaf->cure : left_behind(location)}}};
}

} // namespace

Result<ExitCode> show_status(const PartRequest& request) {
  auto found = ordered_json::array();
  bool degraded = false;
  std::vector<Error> refusals; // the user may read at one part and not at another
  for (const PartLocation& location : locations(request)) {
    auto status = ask(location);
    if (!status)
      refusals.push_back(status.error());
    if (!status || status->is_null())
      continue;
    degraded |= status->value("state", "") != "ok";
    found.push_back(*status);
  }
  if (found.empty() && !refusals.empty())
    return refusals[0];
  bool single = names_one(request);
  if (request.json && (single ? !found.empty() : true))
    fmt::print("{}\n", json_text((single ? found[0] : ordered_json{{"parts", found}}), 2));
  else if (!request.json)
    print_status(found);
  if (found.empty())
    return nothing_runs(request);
  for (const Error& refusal : refusals)
    log::final_error("trapctl", refusal.message);
  return !refusals.empty() ? ExitCode::failed : degraded ? ExitCode::degraded : ExitCode::ok;
}

} // namespace trap::ctl
