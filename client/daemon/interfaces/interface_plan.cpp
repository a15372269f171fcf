// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/interfaces/interface_plan.h"

#include <algorithm>
#include <optional>

#include <fmt/core.h>

#include "runtime/net/interface_choice.h"

namespace trap::client {
namespace {

bool is_lan(const ClientConfig& config, const HostInterface& interface) {
  return is_named(config.lan, interface.name) ||
         (interface.is_up && !interface.is_loopback &&
          !is_excepted(config.part.except, interface.name) &&
          is_matched(config.lan, interface.name));
}

bool is_port_of_lan(const ClientConfig& config, const HostInterface& interface,
                    const std::vector<HostInterface>& interfaces) {
  const auto bridge = std::ranges::find(interfaces, interface.master, &HostInterface::index);
  return interface.slave_of == "bridge" && bridge != interfaces.end() && is_lan(config, *bridge);
}

std::optional<Side> side_of(const ClientConfig& config, const HostInterface& interface,
                            const std::vector<HostInterface>& interfaces) {
  if (is_named(config.part.interfaces, interface.name))
    return Side::host;
  if (is_lan(config, interface))
    return interface.kind == "bridge" ? std::nullopt : std::optional(Side::lan);
  if (!interface.is_up || interface.is_loopback || is_excepted(config.part.except, interface.name))
    return std::nullopt;
  if (is_port_of_lan(config, interface, interfaces))
    return Side::lan;
  if (delivers(interface) && is_matched(config.part.interfaces, interface.name))
    return Side::host;
  return std::nullopt;
}

void note_missing(InterfacePlan& plan, const std::string& name, std::string problem) {
  plan.missing.push_back(name);
  plan.problems.push_back(std::move(problem));
}

void note_absent(InterfacePlan& plan, const std::vector<std::string>& names,
                 const std::vector<HostInterface>& interfaces) {
  for (const std::string& name : names) {
    if (!is_pattern(name) &&
        std::ranges::find(interfaces, name, &HostInterface::name) == interfaces.end())
      note_missing(
          plan, name,
          fmt::format("interface {} is not there: it gets its filters when it appears", name));
  }
}

} // namespace

InterfacePlan plan_interfaces(const ClientConfig& config,
                              const std::vector<HostInterface>& interfaces) {
  InterfacePlan plan;
  for (const HostInterface& interface : interfaces) {
    const auto side = side_of(config, interface, interfaces);
    const auto framing = framing_of(interface.type);
    if (side && framing)
      plan.interfaces.push_back({interface.name, interface.index, *side, *framing});
    else if (side && (is_named(config.lan, interface.name) ||
                      is_named(config.part.interfaces, interface.name)))
      note_missing(
          plan, interface.name,
          fmt::format("interface {} has a link layer (ARPHRD {}) that trap-client cannot read",
                      interface.name, interface.type));
  }
  note_absent(plan, config.part.interfaces, interfaces);
  note_absent(plan, config.lan, interfaces);
  return plan;
}

const char* side_name(Side side) {
  return side == Side::host ? "host" : "lan";
}

} // namespace trap::client
