// SPDX-License-Identifier: Apache-2.0
// Reading tests/vectors/*.json and the values in them. Throws std::runtime_error on anything
// unexpected: a test without its vectors has nothing to say.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "protocol/address.h"
#include "protocol/siphash.h"

namespace trap::test {

using Json = nlohmann::json;
using Bytes = std::vector<std::uint8_t>;

struct Address {
  trap_address value;
  trap_family family;
};

// The file tests/vectors/`name`, or any other file by its absolute path.
Json read_json(const std::string& name);

// Lower-case hexadecimal digits, two a byte; read_hex ignores blanks.
Bytes read_hex(std::string_view text);
std::string to_hex(const void* data, std::size_t size);
inline std::string to_hex(const Bytes& bytes) {
  return to_hex(bytes.data(), bytes.size());
}

trap_key read_key(const Json& hex);
// 192.0.2.2 or 2001:db8::1
Address read_address(const Json& text);
// The address as it goes over the wire: 4 or 16 bytes.
Bytes wire_bytes(const Address& address);

} // namespace trap::test
