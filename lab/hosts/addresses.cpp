// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/addresses.h"

#include <algorithm>

#include <fmt/format.h>

namespace trap::lab {
namespace {

// The client, the stranger and the attacker share a /24 in three parts, the service hosts another:
// IPv4 has only three documentation prefixes. IPv6 has a /64 each, because that is the scope of a
// ticket.
constexpr HostAddresses plan[] = {
    {"client", 1, "192.0.2.2", "192.0.2.1", 26, "2001:db8:2::2", "2001:db8:2::1"},
    {"stranger", 2, "192.0.2.66", "192.0.2.65", 26, "2001:db8:66::2", "2001:db8:66::1"},
    {"attacker", 3, "192.0.2.130", "192.0.2.129", 26, "2001:db8:bad::2", "2001:db8:bad::1"},
    {"trap", 4, "203.0.113.10", "203.0.113.1", 24, "2001:db8:113::10", "2001:db8:113::1"},
    {"service", 5, "198.51.100.20", "198.51.100.17", 28, "2001:db8:51::20", "2001:db8:51::1"},
    {"service-2", 6, "198.51.100.36", "198.51.100.33", 28, "2001:db8:52::20", "2001:db8:52::1"},
    {"plain", 7, "198.51.100.52", "198.51.100.49", 28, "2001:db8:53::20", "2001:db8:53::1"},
};

} // namespace

std::string_view name_of(Family family) {
  return family == Family::ipv4 ? "IPv4" : "IPv6";
}

std::string text_of(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3],
                     mac[4], mac[5]);
}

std::span<const HostAddresses> address_plan() {
  return plan;
}

const HostAddresses& addresses_of(std::string_view host) {
  return *std::ranges::find(plan, host, &HostAddresses::host);
}

std::string endpoint(std::string_view address, int port) {
  return address.find(':') == std::string_view::npos ? fmt::format("{}:{}", address, port)
                                                     : fmt::format("[{}]:{}", address, port);
}

} // namespace trap::lab
