// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/class_config.h"

#include <algorithm>
#include <limits>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "runtime/config/part_config.h"
#include "runtime/config/token_rate.h"

namespace trap::guard {
namespace {

constexpr char kDefault[] = "default";

std::uint64_t read_bytes_per_s(ConfigTable& table, std::uint64_t otherwise) {
  const std::int64_t rate =
      table.integer_or("bytes_per_s", static_cast<std::int64_t>(otherwise), 0, kMostBytesPerS);
  if (rate != 0 && rate < kLeastBytesPerS)
    table.fail(
        table.line(),
        fmt::format(
            "\"bytes_per_s\" is {}: write at least {}, the largest packet, or 0 for no limit", rate,
            kLeastBytesPerS));
  return static_cast<std::uint64_t>(rate);
}

ClassConfig read_class(ConfigTable& table, const std::vector<ClassConfig>& others) {
  ClassConfig config;
  config.name = read_table_name(table, "class").text;
  for (const ClassConfig& other : others) {
    if (other.name == config.name)
      table.fail(table.line(), "another class has this name already");
  }
  const auto tags =
      table.integers_or_none("tags", 0, TRAP_GUARD_TAGS - 1).value_or(std::vector<ConfigInteger>());
  for (const ConfigInteger& tag : tags) {
    const auto value = static_cast<std::uint8_t>(tag.value);
    if (std::find(config.tags.begin(), config.tags.end(), value) != config.tags.end())
      table.fail(tag.line, fmt::format("tag {} is there twice", tag.value));
    for (const ClassConfig& other : others) {
      if (std::find(other.tags.begin(), other.tags.end(), value) != other.tags.end())
        table.fail(tag.line,
                   fmt::format("tag {} belongs to class \"{}\" already", tag.value, other.name));
    }
    config.tags.push_back(value);
  }
  if (config.name != kDefault && tags.empty())
    table.fail(table.line(), "no client has this class: give it \"tags\"");
  const auto rate = [&](const char* key, std::uint64_t otherwise) {
    return static_cast<std::uint64_t>(
        table.integer_or(key, static_cast<std::int64_t>(otherwise), 0, kRateMax));
  };
  config.syns_per_s = rate("syns_per_s", config.syns_per_s);
  config.packets_per_s = rate("packets_per_s", config.packets_per_s);
  config.bytes_per_s = read_bytes_per_s(table, config.bytes_per_s);
  config.flows = static_cast<std::uint32_t>(
      table.integer_or("flows", config.flows, 0, std::numeric_limits<std::uint32_t>::max()));
  table.reject_unknown_keys();
  return config;
}

} // namespace

std::vector<ClassConfig> read_classes(ConfigTable& table) {
  std::vector<ClassConfig> classes;
  for (ConfigTable& one : table.tables_or_none("class"))
    classes.push_back(read_class(one, classes));
  auto found = std::find_if(classes.begin(), classes.end(),
                            [](const ClassConfig& one) { return one.name == kDefault; });
  if (found == classes.end())
    classes.insert(classes.begin(), ClassConfig());
  else
    std::rotate(classes.begin(), found, found + 1);
  return classes;
}

std::array<trap_guard_class, TRAP_GUARD_TAGS>
classes_by_tag(const std::vector<ClassConfig>& classes) {
  std::array<trap_guard_class, TRAP_GUARD_TAGS> by_tag = {};
  bool is_first = true;
  for (const ClassConfig& config : classes) {
    trap_guard_class limits = {};
    limits.syns = budget_rate(config.syns_per_s);
    limits.packets = packet_rate(config.packets_per_s);
    limits.kib = byte_rate(config.bytes_per_s);
    limits.flows = config.flows;
    if (is_first)
      by_tag.fill(limits);
    for (std::uint8_t tag : config.tags)
      by_tag[tag] = limits;
    is_first = false;
  }
  return by_tag;
}

std::string format_class(const ClassConfig& config) {
  return fmt::format("{}({}/s,{}p/s,{}B/s,{}{}{})", config.name, config.syns_per_s,
                     config.packets_per_s, config.bytes_per_s, config.flows,
                     config.tags.empty() ? "" : ",tags ", fmt::join(config.tags, "+"));
}

} // namespace trap::guard
