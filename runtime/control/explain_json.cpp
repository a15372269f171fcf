// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/explain_json.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "runtime/json_text.h"
#include "runtime/kernel/counters.h"
#include "runtime/verdict_text.h"

namespace trap {
namespace {

const char* action_name(trap_action action) {
  switch (action) {
  case TRAP_ACTION_PASS:
    return "pass";
  case TRAP_ACTION_REPLY:
    return "reply";
  case TRAP_ACTION_CONSUME:
    return "consume";
  default:
    return "drop";
  }
}

} // namespace

std::string explanation_json(const std::string& part, const ExplainRequest& request,
                             const Explained& explained, const Reasons& reasons) {
  const trap_action action = trap_verdict_action(explained.verdict);
  nlohmann::ordered_json json = {{"part", part},
                                 {"packet", format_packet(request.frame)},
                                 {"verdict", verdict_name(explained.verdict)},
                                 {"action", action_name(action)},
                                 {"meaning", verdict_text(explained.verdict)},
                                 {"service", reasons.service.empty()
                                                 ? nlohmann::ordered_json()
                                                 : nlohmann::ordered_json(reasons.service)},
                                 {"because", reasons.because}};
  if (explained.socket)
    json["socket"] = socket_text(*explained.socket);
  if (action == TRAP_ACTION_REPLY)
    json["answer"] = format_packet(explained.frame);
  if (!reasons.becomes.empty())
    json["becomes"] = reasons.becomes;
  return json_text(json);
}

std::string duration_text(std::uint64_t seconds) {
  constexpr std::uint64_t seconds_per_minute = 60;
  constexpr std::uint64_t seconds_per_hour = 3600;
  if (seconds < 2 * seconds_per_minute)
    return fmt::format("{} s", seconds);
  if (seconds < 2 * seconds_per_hour)
    return fmt::format("{} min", seconds / seconds_per_minute);
  return fmt::format("{} h", seconds / seconds_per_hour);
}

} // namespace trap
