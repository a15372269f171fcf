// SPDX-License-Identifier: Apache-2.0
// The constants of the fixtures (tests/vectors/test_constants.json): addresses by role, keys,
// moments, and values by name. "$cookie.now+1" is cookie.v4.now or cookie.v6.now, by the family,
// plus one.
#pragma once

#include "runtime/keys/key_derivation.h"
#include "tests/support/vectors.h"

namespace trap::test {

class TestConstants {
public:
  TestConstants() : json_(read_json("test_constants.json")) {}

  const Json& moment(const std::string& name) const { return json_.at("moments").at(name); }
  // The epoch that a moment's keys are made around.
  std::uint64_t present_epoch(const Json& moment) const {
    return moment.at("epochs").at(1).at("epoch");
  }
  Secret master() const;
  // A value by its full name.
  std::string text(const std::string& name) const { return json_.at("values").at(name); }
  trap_key selector_key() const { return read_key(json_.at("selector_key")); }
  const Json& values() const { return json_.at("values"); }

  // An address by its role, or by its own text.
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
