// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/running/guard_commands.h"

#include "runtime/json_text.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/process/part.h"
#include "runtime/verdict_text.h"

namespace trap::guard {

using nlohmann::ordered_json;

namespace {

constexpr std::size_t suspects_told = 100;

// An operator who might be cut off must force it, or leave a way back.
Result<std::string> enforce(RunningGuard& guard, const std::vector<std::string>& words) {
  auto request = parse_enforce(words);
  if (!request)
    return request.error();
  std::optional<SshConnection> ssh;
  if (request->operator_client)
    ssh = SshConnection{request->operator_client->address, request->operator_port};
  const std::vector<std::string> warnings = lockouts(guard, guard.active->config, ssh);
  const bool refused = !warnings.empty() && !request->force && !request->seconds;
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (!refused) {
    guard.ran_out = false;
    if (request->seconds)
      enforce_for(*guard.settings, *request->seconds, now_ns);
    else
      set_mode(*guard.settings, Mode::enforce);
    guard.enforcement = enforcement_of(*guard.settings, now_ns);
    if (request->seconds)
      log::info("mode: enforce, by command, for {} seconds unless confirmed", *request->seconds);
    else
      log::info("mode: enforce, by command");
  }
  ordered_json answer = enforcement_json(guard);
  answer["refused"] = refused;
  answer["warnings"] = warnings;
  return json_text(answer);
}

} // namespace

Result<std::string> run_guard_command(RunningGuard& guard, const std::vector<std::string>& words) {
  if (words[0] == "capture")
    return guard.captures.command(words, read_clocks().monotonic_ns);
  if (words[0] == "enforce")
    return enforce(guard, words);
  if (words.size() != 1)
    return unknown_command(guard.active->config.part, words);
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (words[0] == "confirm") {
    if (auto confirmed = confirm(*guard.settings, now_ns); !confirmed)
      return confirmed.error();
    log::info("mode: enforce, confirmed");
  } else if (words[0] == "monitor") {
    set_mode(*guard.settings, Mode::monitor);
    log::warn("mode: monitor, by command: nothing is dropped");
  } else if (words[0] == "suspects") {
    auto suspects = ordered_json::array();
    for (const Suspect& suspect : guard.suspects.top(suspects_told))
      suspects.push_back({{"source", format_address(suspect.source)},
                          {"service", name_of_slot(*guard.active, suspect.slot)},
                          {"verdict", verdict_name(static_cast<int>(suspect.verdict))},
                          {"seen", suspect.times},
                          {"last_seen", suspect.seen_unix_s}});
    return json_text(ordered_json{{"mode", mode_name(enforcement_of(*guard.settings, now_ns).mode)},
                                  {"suspects", suspects}});
  } else {
    return unknown_command(guard.active->config.part, words);
  }
  guard.ran_out = false;
  guard.enforcement = enforcement_of(*guard.settings, now_ns);
  return json_text(enforcement_json(guard));
}

ordered_json enforcement_json(const RunningGuard& guard) {
  const Enforcement enforcement = enforcement_of(*guard.settings, read_clocks().monotonic_ns);
  ordered_json json = {{"mode", mode_name(enforcement.mode)},
                       {"configured_mode", mode_name(guard.active->config.mode)}};
  if (enforcement.confirm_within_s)
    json["confirm_within_s"] = *enforcement.confirm_within_s;
  return json;
}

} // namespace trap::guard
