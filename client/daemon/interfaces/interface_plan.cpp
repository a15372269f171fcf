// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/interfaces/interface_plan.h"

#include <algorithm>
#include <fnmatch.h>
#include <linux/if_arp.h>
#include <optional>

#include <fmt/core.h>

namespace trap::client {
namespace {

// As the kernel has it (dev_is_mac_header_xmit): these deliver IP packets as they are.
std::optional<Framing> framing_of(const Link& link) {
  switch (link.type) {
  case ARPHRD_ETHER:
  case ARPHRD_LOOPBACK:
    return Framing::ethernet;
  case ARPHRD_TUNNEL:
  case ARPHRD_TUNNEL6:
  case ARPHRD_SIT:
  case ARPHRD_IPGRE:
  case ARPHRD_IP6GRE:
  case ARPHRD_VOID:
  case ARPHRD_NONE:
  case ARPHRD_PPP:
  case ARPHRD_RAWIP:
    return Framing::ip;
  default:
    return std::nullopt;
  }
}

bool matches(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool is_named(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_matched(const std::vector<std::string>& patterns, const std::string& name) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return is_pattern(pattern) && matches(name, pattern);
  });
}

bool is_excepted(const ClientConfig& config, const Link& link) {
  return std::ranges::any_of(
      config.except, [&](const std::string& pattern) { return matches(link.name, pattern); });
}

// What a port receives, its bridge or bond delivers; a VRF delivers nothing.
bool delivers(const Link& link) {
  return link.slave_of.empty() || link.slave_of == "vrf";
}

bool is_lan(const ClientConfig& config, const Link& link) {
  return is_named(config.lan, link.name) ||
         (link.is_up && !link.is_loopback && !is_excepted(config, link) &&
          is_matched(config.lan, link.name));
}

bool is_port_of_lan(const ClientConfig& config, const Link& link, const std::vector<Link>& links) {
  const auto bridge = std::ranges::find(links, link.master, &Link::index);
  return link.slave_of == "bridge" && bridge != links.end() && is_lan(config, *bridge);
}

std::optional<Side> side_of(const ClientConfig& config, const Link& link,
                            const std::vector<Link>& links) {
  if (is_named(config.part.interfaces, link.name))
    return Side::host;
  if (is_lan(config, link))
    return link.kind == "bridge" ? std::nullopt : std::optional(Side::lan);
  if (!link.is_up || link.is_loopback || is_excepted(config, link))
    return std::nullopt;
  if (is_port_of_lan(config, link, links))
    return Side::lan;
  if (delivers(link) && is_matched(config.part.interfaces, link.name))
    return Side::host;
  return std::nullopt;
}

void note_missing(InterfacePlan& plan, const std::string& name, std::string problem) {
  plan.missing.push_back(name);
  plan.problems.push_back(std::move(problem));
}

void note_absent(InterfacePlan& plan, const std::vector<std::string>& names,
                 const std::vector<Link>& links) {
  for (const std::string& name : names) {
    if (!is_pattern(name) && std::ranges::find(links, name, &Link::name) == links.end())
      note_missing(
          plan, name,
          fmt::format("interface {} is not there: it gets its filters when it appears", name));
  }
}

} // namespace

bool is_pattern(const std::string& name) {
  return name.find_first_of("*?[") != std::string::npos;
}

InterfacePlan plan_interfaces(const ClientConfig& config, const std::vector<Link>& links) {
  InterfacePlan plan;
  for (const Link& link : links) {
    const auto side = side_of(config, link, links);
    const auto framing = framing_of(link);
    if (side && framing)
      plan.interfaces.push_back({link.name, link.index, *side, *framing});
    else if (side &&
             (is_named(config.lan, link.name) || is_named(config.part.interfaces, link.name)))
      note_missing(
          plan, link.name,
          fmt::format("interface {} has a link layer (ARPHRD {}) that trap-client cannot read",
                      link.name, link.type));
  }
  note_absent(plan, config.part.interfaces, links);
  note_absent(plan, config.lan, links);
  return plan;
}

const char* side_name(Side side) {
  return side == Side::host ? "host" : "lan";
}

const char* framing_name(Framing framing) {
  return framing == Framing::ethernet ? "ethernet" : "ip";
}

} // namespace trap::client
