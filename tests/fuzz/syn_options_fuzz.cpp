// SPDX-License-Identifier: Apache-2.0
// Any bytes as the options of a SYN: what is read of them agrees with a reading written anew from
// RFC 9293 3.1.
#include "dataplane/syn_options.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

struct Expected {
  int mss = -1;
  int scale = -1;
  bool sack = false;
  bool stamped = false;
  std::uint8_t stamp[4] = {};
};

void take(Expected& expected, const std::uint8_t* option) {
  switch (option[0] << 8 | option[1]) {
  case 0x0204:
    expected.mss = option[2] << 8 | option[3];
    break;
  case 0x0303:
    expected.scale = option[2] > 14 ? 14 : option[2];
    break;
  case 0x0402:
    expected.sack = true;
    break;
  case 0x080a:
    expected.stamped = true;
    std::memcpy(expected.stamp, option + 2, 4);
    break;
  default:
    break;
  }
}

Expected walk(const std::uint8_t* area, std::size_t size) {
  Expected expected;
  for (std::size_t at = 0; at < size && area[at] != 0;) {
    if (area[at] == 1) {
      at++;
      continue;
    }
    if (at + 1 >= size || area[at + 1] < 2 || at + area[at + 1] > size)
      break;
    take(expected, area + at);
    at += area[at + 1];
  }
  return expected;
}

void require(bool condition) {
  if (!condition)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::size_t used = (size < 40 ? size : 40) / 4 * 4;
  std::uint8_t segment[60] = {};
  if (used > 0)
    std::memcpy(segment + 20, data, used);

  trap_syn_options syn;
  trap_read_syn_options(&syn, segment, segment + 20 + used, static_cast<__u32>(20 + used));
  const Expected expected = walk(segment + 20, used);
  require((syn.has_mss ? syn.mss : -1) == expected.mss);
  require((syn.has_window_scale ? syn.window_scale : -1) == expected.scale);
  require((syn.sack != 0) == expected.sack);
  require((syn.has_timestamps != 0) == expected.stamped);
  require(!expected.stamped || std::memcmp(&syn.timestamp, expected.stamp, 4) == 0);
  return 0;
}
