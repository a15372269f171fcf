// SPDX-License-Identifier: Apache-2.0
// SYNs as the stacks of common systems send them: the order of options, padding and windows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "runtime/packet/segment.h"

namespace trap::lab {

struct Shape {
  std::string_view name = {};
  std::string_view layout =
      {}; // M MSS, S SACK, T timestamps, W window scale, N NOP, E end of options
  std::uint16_t mss = 1460;
  std::uint8_t scale = 7;
  std::uint16_t window = 64240;
  std::uint8_t ecn = 0; // bits ECE and CWR of the SYN
  bool accurate_ecn = false;
  std::uint8_t traffic_class = 0;
  std::uint8_t flags = 0; // beside SYN
  std::uint8_t hop_limit = usual_hop_limit;
  std::uint32_t stamp = 77'000;
  std::optional<Bytes> bytes = {}; // the options as they are, instead of the layout

  [[nodiscard]] Bytes options(std::uint32_t timestamp) const;
};

std::span<const Shape> all_shapes();
const Shape& shape_of(std::string_view name);

} // namespace trap::lab
