// SPDX-License-Identifier: Apache-2.0
// Address prefixes as people write them, "192.0.2.0/24", "2001:db8:1::/48" or an address alone, in
// the form that LPM tries have.
#pragma once

#include <string>
#include <string_view>

#include "runtime/config/endpoint.h"

namespace trap {

struct Prefix {
  trap_address address = {}; // nothing set behind the prefix
  unsigned bits = 0;         // of the 128: those of an IPv4 prefix are 96 more than written

  bool operator==(const Prefix& other) const {
    return bits == other.bits && trap_address_equal(&address, &other.address);
  }
};

// Errors carry no place. Bits behind the prefix are an error, and so is an IPv6 prefix so short
// that IPv4 would be within it.
Result<Prefix> parse_prefix(std::string_view text);

std::string format_prefix(const Prefix& prefix);

bool covers(const Prefix& prefix, const trap_address& address);

} // namespace trap
