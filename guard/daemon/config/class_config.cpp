// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/config/class_config.h"

#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "runtime/config/part_config.h"
#include "runtime/config/token_rate.h"

namespace trap::guard {
namespace {

constexpr char default_class[] = "default";

bool has_tag(const ClassConfig& config, std::uint8_t tag) {
  return std::find(config.tags.begin(), config.tags.end(), tag) != config.tags.end();
}

// The limits of each tag's class; the first class has every tag that no other one has.
template <class Limits, class LimitsOf>
std::array<Limits, TRAP_GUARD_TAGS> by_tag(const std::vector<ClassConfig>& classes,
                                           LimitsOf limits_of) {
  std::array<Limits, TRAP_GUARD_TAGS> limits = {};
  bool is_first = true;
  for (const ClassConfig& config : classes) {
    if (is_first)
      limits.fill(limits_of(config));
    for (std::uint8_t tag : config.tags)
      limits[tag] = limits_of(config);
    is_first = false;
  }
  return limits;
}

} // namespace

Keys<ClassConfig> class_keys() {
  using C = ClassConfig;
  constexpr Range rates = {0, rate_max};
  return {
      table_name("class", &C::name, "name of the class; \"default\" may be redefined"),
      integers("tags", &C::tags, {0, TRAP_GUARD_TAGS - 1}, by_reload,
               "tags of tickets whose clients have this class"),
      integer("syns_per_s", &C::syns_per_s, rates, by_reload,
              "SYNs a second of a client; 0: no limit"),
      integer("packets_per_s", &C::packets_per_s, rates, by_reload,
              "packets a second of a client; 0: no limit"),
      integer("bytes_per_s", &C::bytes_per_s, {0, most_bytes_per_s}, by_reload,
              "bytes a second of a client; 0: no limit"),
      integer("flows", &C::flows, {0, std::numeric_limits<std::uint32_t>::max()}, by_reload,
              "open connections of a client; 0: no limit"),
      integer("network_syns_per_s", &C::network_syns_per_s, rates, by_reload,
              "SYNs a second of a /24 or /48, with a ticket, and as many by announcement; 0: no "
              "limit"),
      integer("network_packets_per_s", &C::network_packets_per_s, rates, by_reload,
              "packets a second of a /24 or /48; 0: no limit"),
      integer("network_flows", &C::network_flows, {0, std::numeric_limits<std::uint32_t>::max()},
              by_reload, "open connections of a /24 or /48; 0: no limit")};
}

void check_class(ConfigTable& table, const ClassConfig& read,
                 const std::vector<ClassConfig>& others) {
  for (const ClassConfig& other : others) {
    if (other.name == read.name)
      table.fail(table.line(), "another class has this name already");
  }
  for (std::size_t i = 0; i < read.tags.size(); i++) {
    const std::uint8_t tag = read.tags[i];
    const unsigned line = table.line_of("tags", i);
    if (std::find(read.tags.begin(), read.tags.begin() + static_cast<std::ptrdiff_t>(i), tag) !=
        read.tags.begin() + static_cast<std::ptrdiff_t>(i))
      table.fail(line, fmt::format("tag {} is listed twice", tag));
    for (const ClassConfig& other : others) {
      if (has_tag(other, tag))
        table.fail(line, fmt::format("tag {} belongs to class \"{}\" already", tag, other.name));
    }
  }
  if (read.name != default_class && read.tags.empty())
    table.fail(table.line(), "no client has this class: give it \"tags\"");
  if (read.bytes_per_s != 0 && read.bytes_per_s < least_bytes_per_s)
    table.fail(table.line(), fmt::format("\"bytes_per_s\" is {}: write at least {}, the largest "
                                         "packet, or 0 for no limit",
                                         read.bytes_per_s, least_bytes_per_s));
}

void complete_classes(std::vector<ClassConfig>& classes) {
  auto found = std::find_if(classes.begin(), classes.end(),
                            [](const ClassConfig& one) { return one.name == default_class; });
  if (found == classes.end())
    classes.insert(classes.begin(), ClassConfig());
  else
    std::rotate(classes.begin(), found, found + 1);
}

std::array<trap_guard_class, TRAP_GUARD_TAGS>
classes_by_tag(const std::vector<ClassConfig>& classes) {
  return by_tag<trap_guard_class>(classes, [](const ClassConfig& config) {
    return trap_guard_class{.syns = budget_rate(config.syns_per_s),
                            .packets = packet_rate(config.packets_per_s),
                            .kib = byte_rate(config.bytes_per_s),
                            .flows = config.flows,
                            .reserved = 0};
  });
}

std::array<trap_network_class, TRAP_GUARD_TAGS>
network_classes_by_tag(const std::vector<ClassConfig>& classes) {
  return by_tag<trap_network_class>(classes, [](const ClassConfig& config) {
    return trap_network_class{.syns = budget_rate(config.network_syns_per_s),
                              .packets = packet_rate(config.network_packets_per_s),
                              .flows = config.network_flows,
                              .reserved = 0};
  });
}

} // namespace trap::guard
