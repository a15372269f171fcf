// SPDX-License-Identifier: Apache-2.0
// The addresses of a service as they are written: one, or those of this host that are everywhere,
// on an interface or in a prefix; with a port or a range of ports.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/config/key.h"
#include "runtime/config/prefix.h"

namespace trap::server {

struct AddressPattern {
  std::string text; // as it is written
  bool is_one = false;
  trap_address one = {};
  // Else those of this host that fit all of these.
  std::string interface; // empty: any
  std::optional<trap_family> family;
  std::optional<Prefix> prefix;
  std::uint16_t first_port = 0, last_port = 0; // host byte order
};

// "203.0.113.10:80", "[2001:db8::10]:8000-8010", "*:443", "0.0.0.0:443", "[::]:443", "eth0:443",
// "203.0.113.0/24:443". Errors carry no place.
Result<AddressPattern> parse_address_pattern(const std::string& text);

Written<AddressPattern> address_pattern();

struct HostAddress {
  trap_address address = {};
  std::string interface;

  bool operator==(const HostAddress& other) const {
    return trap_address_equal(&address, &other.address) && interface == other.interface;
  }
};

// This host's addresses that others can reach: without loopback's and link-local ones.
std::vector<HostAddress> list_host_addresses();

bool fits(const AddressPattern& pattern, const HostAddress& address);

// The addresses of a pattern that needs no host, one for each port; else none.
std::vector<Endpoint> written_out(const AddressPattern& pattern);

// Those of the host for a pattern that needs one.
std::vector<Endpoint> found_on(const std::vector<HostAddress>& host, const AddressPattern& pattern);

} // namespace trap::server
