// SPDX-License-Identifier: Apache-2.0
// A SYN that no stack may ever have sent: options of any kind, length, value and order, any window,
// flags and hop limits, and the fields in which its served connection may differ.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "lab/hosts/addresses.h"
#include "lab/matrix/shapes.h"

namespace trap::lab {

class OddSyn {
public:
  // The same number makes the same SYN.
  explicit OddSyn(std::uint32_t number);

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::string name() const;

  // Is there no comparison? A stack that knows TCP-MD5 drops some, which TRAP answers: it looks for
  // no signature. Others are of a client that does not go on from its own timestamp.
  [[nodiscard]] bool is_out_of_place() const;

  // What README's table of an attack's effects says of such a client, as fields of a conversation.
  [[nodiscard]] std::set<std::string_view> differences(Family family) const;

private:
  std::uint32_t number_;
  Shape shape_;
};

} // namespace trap::lab
