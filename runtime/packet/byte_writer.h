// SPDX-License-Identifier: Apache-2.0
// Appends numbers in network byte order, addresses and bytes to a packet under construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "protocol/address.h"
#include "runtime/config/endpoint.h"

namespace trap {

class ByteWriter {
public:
  void number(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--)
      out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void append(std::span<const std::uint8_t> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  // 4 or 16 bytes.
  void address(const trap_address& address) {
    append(std::span(address.bytes).subspan(family_of(address) == TRAP_IPV4 ? 12 : 0));
  }

  std::vector<std::uint8_t> out;
};

} // namespace trap
