// SPDX-License-Identifier: Apache-2.0
// Commands of trap-guard's control socket: POST /enforce, /confirm, /monitor, /suspects.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "guard/daemon/guard_part.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/verdict_text.h"

namespace trap::guard {

using nlohmann::ordered_json;

namespace {

constexpr std::size_t kSuspectsTold = 100;

} // namespace

Result<std::string> GuardPart::command(const std::vector<std::string>& words) {
  if (words[0] == "enforce")
    return command_enforce(words);
  if (words.size() != 1)
    return Part::command(words);
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (words[0] == "confirm") {
    if (auto confirmed = confirm(*settings_, now_ns); !confirmed)
      return confirmed.error();
    log::info("mode: enforce, confirmed");
  } else if (words[0] == "monitor") {
    set_mode(*settings_, Mode::monitor);
    log::warn("mode: monitor, by command: nothing is dropped");
  } else if (words[0] == "suspects") {
    auto suspects = ordered_json::array();
    for (const Suspect& suspect : suspects_.top(kSuspectsTold))
      suspects.push_back({{"source", format_address(suspect.source)},
                          {"service", name_of_slot(suspect.slot)},
                          {"verdict", verdict_name(static_cast<int>(suspect.verdict))},
                          {"seen", suspect.times},
                          {"last_seen", suspect.seen_unix_s}});
    return ordered_json{{"mode", mode_name(enforcement_of(*settings_, now_ns).mode)},
                        {"suspects", suspects}}
        .dump();
  } else {
    return Part::command(words);
  }
  ran_out_ = false;
  enforcement_ = enforcement_of(*settings_, now_ns);
  return enforcement_json().dump();
}

// Whoever might cut himself off must say that he means it, or leave a way back.
Result<std::string> GuardPart::command_enforce(const std::vector<std::string>& words) {
  auto request = parse_enforce(words);
  if (!request)
    return request.error();
  std::optional<SshConnection> ssh;
  if (request->operator_client)
    ssh = SshConnection{request->operator_client->address, request->operator_port};
  const std::vector<std::string> warnings = lockouts(config_, ssh);
  const bool refused = !warnings.empty() && !request->force && !request->seconds;
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (!refused) {
    ran_out_ = false;
    if (request->seconds)
      enforce_for(*settings_, *request->seconds, now_ns);
    else
      set_mode(*settings_, Mode::enforce);
    enforcement_ = enforcement_of(*settings_, now_ns);
    if (request->seconds)
      log::info("mode: enforce, by command, for {} seconds unless confirmed", *request->seconds);
    else
      log::info("mode: enforce, by command");
  }
  ordered_json answer = enforcement_json();
  answer["refused"] = refused;
  answer["warnings"] = warnings;
  return answer.dump();
}

std::string GuardPart::name_of_slot(std::uint32_t slot) const {
  for (const ServiceConfig& service : config_.services) {
    if (slots_.at(service.port) == slot)
      return service.name;
  }
  return "";
}

} // namespace trap::guard
