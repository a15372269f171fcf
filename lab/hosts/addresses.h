// SPDX-License-Identifier: Apache-2.0
// The lab's address plan: hosts, their addresses, and the ports of their services. All addresses
// are of documentation prefixes (RFC 5737, RFC 3849), so none is private and none is in use.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/packet/segment.h"

namespace trap::lab {

enum class Family { ipv4 = 4, ipv6 = 6 };

inline constexpr Family families[] = {Family::ipv4, Family::ipv6};

std::string_view name_of(Family family);

// "02:00:00:00:01:02"
std::string text_of(const MacAddress& mac);

// Addresses of one host and of the router's end of its link. `number` makes both MAC addresses.
struct HostAddresses {
  std::string_view host;
  std::uint8_t number;
  std::string_view ipv4, ipv4_gateway;
  int ipv4_prefix;
  std::string_view ipv6, ipv6_gateway;

  [[nodiscard]] std::string_view address(Family family) const {
    return family == Family::ipv4 ? ipv4 : ipv6;
  }
  [[nodiscard]] MacAddress mac() const { return {0x02, 0, 0, 0, number, 0x02}; }
  [[nodiscard]] MacAddress router_mac() const { return {0x02, 0, 0, 0, number, 0x01}; }
};

// Every host but the router.
std::span<const HostAddresses> address_plan();
const HostAddresses& addresses_of(std::string_view host);

// The TRAP host's second address, from which it speaks to the service hosts. The router drops
// packets from it that come from outside.
inline constexpr std::string_view inner_ipv4 = "203.0.113.11", inner_ipv6 = "2001:db8:113::11";

inline constexpr int service_port = 80; // public, and protected at the service's host
inline constexpr int open_port = 8080;  // at the service's host, not protected
inline constexpr int shell_port = 22;   // sshd, where clients are served
inline constexpr int speed_port = 5201; // iperf3
inline constexpr int cache_port = 6379; // Redis
inline constexpr int database_port = 5432;

// "192.0.2.2:80" or "[2001:db8:2::2]:80".
std::string endpoint(std::string_view address, int port);

} // namespace trap::lab
