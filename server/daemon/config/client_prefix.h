// SPDX-License-Identifier: Apache-2.0
// Prefixes of client addresses as people write them: "192.0.2.0/24", "2001:db8:1::/48", or a lone
// address.
#pragma once

#include <string>
#include <string_view>

#include "runtime/config/endpoint.h"

namespace trap::server {

struct ClientPrefix {
  trap_address address = {}; // no bit set behind the prefix
  unsigned bits = 0;         // 0 to 128: those of IPv4 are 96 longer than they are written

  // In which it was written. ::/0 covers IPv4's place in the address space, too, and is IPv6
  // nevertheless.
  trap_family family() const { return bits >= 96 ? family_of(address) : TRAP_IPV6; }

  bool operator==(const ClientPrefix& other) const {
    return trap_address_equal(&address, &other.address) && bits == other.bits;
  }
};

// Refused: what is no prefix, and an address with bits set behind its prefix. Errors carry no
// place.
Result<ClientPrefix> parse_prefix(std::string_view text);

std::string format_prefix(const ClientPrefix& prefix);

} // namespace trap::server
