// SPDX-License-Identifier: Apache-2.0
// The little world of the fixtures (tests/vectors/world.json): addresses by role, keys, moments,
// and values by name.
// "$cookie.now+1" means cookie.v4.now or cookie.v6.now, as the family may be, plus one.
#pragma once

#include "tests/support/vectors.h"

namespace trap::test {

class World {
public:
  World() : json_(read_json("world.json")) {}

  const Json& moment(const std::string& name) const { return json_.at("moments").at(name); }
  trap_key selector_key() const { return read_key(json_.at("selector_key")); }
  const Json& values() const { return json_.at("values"); }

  // An address by its role, or as it is written.
  Address address(const std::string& text, int family) const;
  // A number: a JSON number, "0x...", or a name with an optional offset.
  std::uint64_t number(const Json& value, int family) const;
  // Bytes: hexadecimal, or a name.
  Bytes bytes(const Json& value, int family) const;

private:
  const Json& named(const std::string& name, int family) const;

  Json json_;
};

} // namespace trap::test
