// SPDX-License-Identifier: Apache-2.0
// IP addresses and address:port pairs as people write them: "203.0.113.10:80", "[2001:db8::10]:80".
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <string>

#include "protocol/address.h"
#include "runtime/result.h"

namespace trap {

struct Endpoint {
  trap_address address = {};
  std::uint16_t port = 0; // host byte order

  bool operator==(const Endpoint& other) const {
    return trap_address_equal(&address, &other.address) && port == other.port;
  }
  std::strong_ordering operator<=>(const Endpoint& other) const {
    if (int order = std::memcmp(address.bytes, other.address.bytes, sizeof(address.bytes)))
      return order <=> 0;
    return port <=> other.port;
  }
};

inline trap_family family_of(const trap_address& address) {
  return trap_address_is_v4(&address) ? TRAP_IPV4 : TRAP_IPV6;
}

// Errors carry no file or line: the caller adds them. IPv4-mapped IPv6 is refused, because it is
// another way to write IPv4.
Result<trap_address> parse_address(const std::string& text);
Result<Endpoint> parse_endpoint(const std::string& text);

std::string format_address(const trap_address& address);
std::string format_endpoint(const Endpoint& endpoint);

} // namespace trap
