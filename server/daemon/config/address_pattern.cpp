// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/address_pattern.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include <fmt/core.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "protocol/wire.h"
#include "runtime/net/socket_address.h"

namespace trap::server {
namespace {

constexpr unsigned most_ports = 1000; // of a range: there is room for about as many addresses

std::optional<std::uint16_t> port_in(std::string_view text) {
  unsigned port = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || port == 0 || port > 65535)
    return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

Error error(const std::string& text, const std::string& why) {
  return {
      fmt::format("{}: {}: use an address, \"*\", an interface or a prefix, then ':' and a port "
                  "or a range such as 8000-8010",
                  text, why),
      ExitCode::usage};
}

Result<void> read_ports(AddressPattern& pattern, std::string_view ports) {
  const auto dash = ports.find('-');
  const auto first = port_in(ports.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_in(ports.substr(dash + 1));
  if (!first || !last || *first > *last)
    return error(pattern.text, "has no port of 1 to 65535, and no range of them");
  if (*last - *first >= static_cast<int>(most_ports))
    return error(pattern.text, fmt::format("more than {} ports", most_ports));
  pattern.first_port = *first;
  pattern.last_port = *last;
  return {};
}

// Not one that is a misspelt address: some character is in neither kind of them.
bool is_interface_name(std::string_view text) {
  constexpr std::string_view of_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789._-";
  return !text.empty() && text.size() < IFNAMSIZ &&
         text.find_first_not_of(of_names) == std::string_view::npos &&
         text.find_first_not_of("0123456789.") != std::string_view::npos;
}

Result<void> read_host(AddressPattern& pattern, const std::string& host) {
  if (host == "*")
    return {};
  if (host == "0.0.0.0" || host == "::") {
    pattern.family = host == "::" ? TRAP_IPV6 : TRAP_IPV4;
    return {};
  }
  if (host.find('/') != std::string::npos) {
    auto prefix = parse_prefix(host);
    if (!prefix)
      return prefix.error();
    pattern.prefix = *prefix;
    return {};
  }
  if (is_interface_name(host)) {
    pattern.interface = host;
    return {};
  }
  auto address = parse_address(host);
  if (!address)
    return address.error();
  if (trap_address_is_forbidden(&*address, family_of(*address)))
    return Error{
        fmt::format("{}: clients accept no redirect from or to such an address", pattern.text),
        ExitCode::usage};
  pattern.is_one = true;
  pattern.one = *address;
  return {};
}

void add_ports(std::vector<Endpoint>& endpoints, const trap_address& address,
               const AddressPattern& pattern) {
  for (unsigned port = pattern.first_port; port <= pattern.last_port; port++)
    endpoints.push_back({address, static_cast<std::uint16_t>(port)});
}

std::string text_of(const AddressPattern& pattern) {
  return pattern.text;
}

} // namespace

Result<AddressPattern> parse_address_pattern(const std::string& text) {
  AddressPattern pattern;
  pattern.text = text;
  const auto colon = text.rfind(':');
  const auto bracket = text.rfind(']');
  const bool is_v6 = text.starts_with('[');
  if (colon == std::string::npos || (is_v6 && bracket + 1 != colon) ||
      (!is_v6 && text.find(':') != colon))
    return parse_endpoint(text).error(); // says what is wrong
  if (auto read = read_ports(pattern, std::string_view(text).substr(colon + 1)); !read)
    return read.error();
  if (is_v6 && text.find(':') > bracket)
    return error(text, "no IPv6 address in brackets");
  const std::string host = is_v6 ? text.substr(1, bracket - 1) : text.substr(0, colon);
  if (auto read = read_host(pattern, host); !read)
    return read.error();
  if (pattern.is_one && pattern.first_port == pattern.last_port)
    pattern.text = format_endpoint({pattern.one, pattern.first_port});
  return pattern;
}

Written<AddressPattern> address_pattern() {
  return {.parse = parse_address_pattern,
          .format = text_of,
          .accepted = "address, \"*\", interface or prefix, and port or range of ports"};
}

std::vector<HostAddress> list_host_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0)
    return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::vector<HostAddress> addresses;
  for (const ifaddrs* at = list; at; at = at->ifa_next) {
    if (!at->ifa_addr ||
        (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6))
      continue;
    sockaddr_storage storage = {};
    std::memcpy(&storage, at->ifa_addr,
                at->ifa_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    const trap_address address = endpoint_of(storage).address;
    std::string interface = at->ifa_name;
    interface.erase(std::min(interface.find(':'), interface.size())); // a label of IPv4
    if (!trap_address_is_forbidden(&address, family_of(address)))
      addresses.push_back({address, std::move(interface)});
  }
  return addresses;
}

bool fits(const AddressPattern& pattern, const HostAddress& address) {
  return !pattern.is_one && (pattern.interface.empty() || pattern.interface == address.interface) &&
         (!pattern.family || *pattern.family == family_of(address.address)) &&
         (!pattern.prefix || covers(*pattern.prefix, address.address));
}

std::vector<Endpoint> written_out(const AddressPattern& pattern) {
  std::vector<Endpoint> endpoints;
  if (pattern.is_one)
    add_ports(endpoints, pattern.one, pattern);
  return endpoints;
}

std::vector<Endpoint> found_on(const std::vector<HostAddress>& host,
                               const AddressPattern& pattern) {
  std::vector<Endpoint> endpoints;
  for (const HostAddress& address : host) {
    if (fits(pattern, address))
      add_ports(endpoints, address.address, pattern);
  }
  return endpoints;
}

} // namespace trap::server
