// SPDX-License-Identifier: Apache-2.0
// Inside the packet builder: a writer of big-endian numbers, and a part of a description with its
// defaults.
#pragma once

#include "tests/support/packet.h"

namespace trap::test {

struct Writer {
  Bytes out;

  void number(std::uint64_t value, int bytes);
  void append(const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
};

struct Description {
  const Json& json;
  int family;
  const TestConstants& constants;

  std::uint64_t number(const char* key, std::uint64_t otherwise) const;
  Bytes bytes(const char* key) const;
  Address address(const char* key, const char* otherwise) const;
};

// The TCP segment, or whatever else is described, that follows the IP header.
Bytes build_l4(const Json& packet, const Description& ip);

} // namespace trap::test
