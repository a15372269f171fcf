// SPDX-License-Identifier: Apache-2.0
// Resolving the names that fixtures use.
#include "tests/support/test_constants.h"

#include <algorithm>
#include <stdexcept>

namespace trap::test {

const Json& TestConstants::named(const std::string& name, int family) const {
  if (name == "isn" || name == "lifetime_s")
    return json_.at(name);
  const std::size_t dot = name.find('.');
  const std::string family_name = family == 4 ? ".v4" : ".v6";
  const std::string full = dot == std::string::npos
                               ? name + family_name
                               : name.substr(0, dot) + family_name + name.substr(dot);
  const auto found = json_.at("values").find(full);
  if (found == json_.at("values").end())
    throw std::runtime_error("no value is called " + full + " in test_constants.json");
  return *found;
}

Secret TestConstants::master() const {
  const Bytes bytes = read_hex(json_.at("master").get<std::string>());
  Secret secret;
  std::copy(bytes.begin(), bytes.end(), secret.bytes.begin());
  return secret;
}

Address TestConstants::address(const std::string& text, int family) const {
  const auto role = json_.at("values").find("address.v" + std::to_string(family) + "." + text);
  return read_address(role != json_.at("values").end() ? *role : Json(text));
}

std::uint64_t TestConstants::number(const Json& value, int family) const {
  if (value.is_number())
    return value.get<std::uint64_t>();
  if (value.is_boolean())
    return value.get<bool>() ? 1 : 0;
  const std::string text = value.get<std::string>();
  if (text.empty() || text[0] != '$')
    return std::stoull(text, nullptr, 0);
  const std::size_t sign = text.find('+');
  const std::size_t minus = text.rfind('-');
  std::size_t cut = sign;
  if (cut == std::string::npos && minus != std::string::npos && minus + 1 < text.size() &&
      std::isdigit(text[minus + 1]) != 0)
    cut = minus;
  const std::uint64_t base =
      named(text.substr(1, cut == std::string::npos ? cut : cut - 1), family).get<std::uint64_t>();
  return cut == std::string::npos ? base
                                  : base + static_cast<std::uint64_t>(std::stoll(text.substr(cut)));
}

Bytes TestConstants::bytes(const Json& value, int family) const {
  const std::string text = value.get<std::string>();
  return read_hex(!text.empty() && text[0] == '$' ? named(text.substr(1), family).get<std::string>()
                                                  : text);
}

} // namespace trap::test
