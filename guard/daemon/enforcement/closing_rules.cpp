// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/enforcement/closing_rules.h"

#include <set>

#include <fmt/ranges.h>

namespace trap::guard {
namespace {

constexpr unsigned v4_bits_before = 96;

bool is_v4(const Prefix& prefix) {
  return prefix.bits >= v4_bits_before && trap_address_is_v4(&prefix.address);
}

} // namespace

std::string closing_rules(const GuardConfig& config) {
  if (config.mode == Mode::monitor)
    return "";
  std::set<std::uint16_t> ports;
  for (const ServiceConfig& service : config.services)
    ports.insert(service.port);
  if (ports.empty())
    return "";
  // Declared and deleted first: the unit may load it again. Before connection tracking, and so
  // before a rule that translates the port.
  std::string rules = "table inet trap_guard_closed\n"
                      "delete table inet trap_guard_closed\n"
                      "table inet trap_guard_closed {\n"
                      "  chain closed {\n"
                      "    type filter hook prerouting priority -450; policy accept;\n"
                      "    iif \"lo\" accept\n";
  for (const Prefix& prefix : config.trusted)
    rules += fmt::format("    {} saddr {} accept\n", is_v4(prefix) ? "ip" : "ip6",
                         format_prefix(prefix));
  return rules + fmt::format("    tcp dport {{ {} }} drop\n  }}\n}}\n", fmt::join(ports, ", "));
}

} // namespace trap::guard
