// SPDX-License-Identifier: Apache-2.0
// Reading test vectors: JSON files, hexadecimal, keys and addresses.
#include "tests/support/vectors.h"

#include <arpa/inet.h>

#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace trap::test {

Json read_json(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(TRAP_TEST_VECTORS) / name;
  std::ifstream file(path);
  if (!file)
    throw std::runtime_error("cannot read " + path.string());
  try {
    return Json::parse(file);
  } catch (const Json::parse_error& error) {
    throw std::runtime_error(path.string() + ": " + error.what());
  }
}

Bytes read_hex(std::string_view text) {
  Bytes bytes;
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0)
      continue;
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0)
      throw std::runtime_error("not hexadecimal: " + std::string(text));
    digits += c;
    if (digits.size() == 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits, nullptr, 16)));
      digits.clear();
    }
  }
  if (!digits.empty())
    throw std::runtime_error("odd number of hexadecimal digits: " + std::string(text));
  return bytes;
}

std::string to_hex(const void* data, std::size_t size) {
  static constexpr char digits[] = "0123456789abcdef";
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  std::string text;
  for (std::size_t i = 0; i < size; i++) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

trap_key read_key(const Json& hex) {
  const Bytes bytes = read_hex(hex.get<std::string>());
  std::uint64_t words[TRAP_KEY_BYTES / 8];
  if (bytes.size() != sizeof words)
    throw std::runtime_error("a key has 16 bytes: " + hex.get<std::string>());
  std::memcpy(words, bytes.data(), sizeof words);
  return trap_key_make(words[0], words[1]);
}

Address read_address(const Json& text) {
  const std::string address = text.get<std::string>();
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1)
    return {trap_address_v4(v4.s_addr), TRAP_IPV4};
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1)
    throw std::runtime_error("not an address: " + address);
  Address result{{}, TRAP_IPV6};
  std::memcpy(result.value.bytes, &v6, sizeof v6);
  return result;
}

Bytes wire_bytes(const Address& address) {
  const std::uint8_t* bytes = address.value.bytes;
  return address.family == TRAP_IPV4 ? Bytes(bytes + 12, bytes + 16) : Bytes(bytes, bytes + 16);
}

} // namespace trap::test
