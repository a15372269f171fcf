// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/status_json.h"

#include <fmt/core.h>

#include "runtime/keys/clock_writer.h"
#include "runtime/verdict_text.h"

namespace trap {

nlohmann::ordered_json counters_json(const VerdictCounts& counts) {
  auto json = nlohmann::ordered_json::object();
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    if (counts[verdict].packets != 0)
      json[verdict_name(verdict)] = counts[verdict].packets;
  }
  return json;
}

nlohmann::ordered_json bytes_json(const VerdictCounts& counts) {
  trap_count sum = {};
  for (const trap_count& count : counts)
    add_count(sum, count);
  return {{"in", sum.bytes_in}, {"out", sum.bytes_out}};
}

nlohmann::ordered_json interfaces_json(const std::vector<XdpState>& states) {
  auto json = nlohmann::ordered_json::array();
  for (const XdpState& state : states) {
    json.push_back({{"name", state.interface},
                    {"index", state.index},
                    {"attached", state.index != 0 && state.ours},
                    {"xdp_mode", state.mode},
                    {"program_id", state.program_id}});
    if (!state.before.empty())
      json.back()["xdp_before"] = state.before;
    if (!state.behind.empty())
      json.back()["xdp_behind"] = state.behind;
  }
  return json;
}

void add_programs_before(nlohmann::ordered_json& interface,
                         const std::vector<std::string>& programs) {
  if (!programs.empty())
    interface["tc_before"] = programs;
}

std::vector<std::string> interface_problems(const std::vector<XdpState>& states) {
  std::vector<std::string> problems;
  for (const XdpState& state : states) {
    if (state.failed)
      problems.push_back(fmt::format("interface {} cannot be looked up: {}", state.interface,
                                     error_text(state.failed)));
    else if (state.index == 0)
      problems.push_back(fmt::format("interface {} is gone", state.interface));
    else if (!state.ours)
      problems.push_back(
          fmt::format("interface {} does not run this daemon's program", state.interface));
    else if (!state.configured.empty())
      problems.push_back(fmt::format(
          R"(interface {} is called {} now: write that into "interfaces", for no start after a boot will know it)",
          state.configured, state.interface));
  }
  return problems;
}

nlohmann::ordered_json uncovered_json(const std::vector<Uncovered>& uncovered) {
  auto json = nlohmann::ordered_json::array();
  for (const Uncovered& way : uncovered)
    json.push_back(
        {{"name", way.interface}, {"reason", way.reason}, {"harmless", way.is_harmless}});
  return json;
}

std::vector<std::string> uncovered_problems(const std::vector<Uncovered>& uncovered) {
  std::vector<std::string> problems;
  for (const Uncovered& way : uncovered) {
    if (!way.is_harmless)
      problems.push_back(fmt::format("{} is not covered: packets come in by it unjudged: {}",
                                     way.interface, way.reason));
  }
  return problems;
}

nlohmann::ordered_json keys_json(const trap_keyring& ring) {
  const std::uint64_t unix_ns = read_clocks().unix_ns;
  return {{"epoch", trap_epoch(unix_ns)},
          {"epochs_held", epochs_held(ring)},
          {"seconds_left", static_cast<std::uint64_t>(key_seconds_left(ring, unix_ns))}};
}

std::vector<std::string> key_problems(const trap_keyring& ring) {
  const std::uint64_t unix_ns = read_clocks().unix_ns;
  const double left_s = key_seconds_left(ring, unix_ns);
  trap_key key;
  if (!trap_keyring_find(&ring, trap_epoch(unix_ns), &key))
    return {fmt::format("no key for the present epoch {}", trap_epoch(unix_ns))};
  if (left_s < keys_scarce_s)
    return {fmt::format("keys for only {:.0f} more minutes: restart the daemon, and find out why "
                        "it does not renew them",
                        left_s / 60)};
  return {};
}

nlohmann::ordered_json config_json(const ConfigNode& node) {
  if (const auto* table = std::get_if<ConfigNode::Table>(&node.value)) {
    auto json = nlohmann::ordered_json::object();
    for (const ConfigEntry& entry : *table)
      json[entry.key] = config_json(entry.node);
    return json;
  }
  if (const auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
    auto json = nlohmann::ordered_json::array();
    for (const ConfigNode& item : *array)
      json.push_back(config_json(item));
    return json;
  }
  if (const auto* boolean = std::get_if<bool>(&node.value))
    return *boolean;
  if (const auto* integer = std::get_if<std::int64_t>(&node.value))
    return *integer;
  if (const auto* text = std::get_if<std::string>(&node.value))
    return *text;
  return nullptr;
}

void add_counts(VerdictCounts& sum, const VerdictCounts& counts) {
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++)
    add_count(sum[verdict], counts[verdict]);
}

} // namespace trap
