// SPDX-License-Identifier: Apache-2.0
// Any bytes as a TCP option area (the first byte chooses the family): the walk agrees with one
// written anew from docs/protocol.md 3.
#include "dataplane/options.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

struct Walked {
  int trap_options = 0;
  bool malformed = false;
  int type = 0;
  std::size_t body = 0;
};

bool is_ours(const std::uint8_t* option, std::size_t length) {
  return option[0] == 0x56 ||
         (option[0] == 253 && length >= 4 && option[2] == 0x54 && option[3] == 0x52);
}

// Length of the whole option of a type with a header of header_bytes; 0 if there is no such type.
std::size_t right_length(int type, std::size_t header_bytes, bool ipv4) {
  static constexpr std::size_t fixed[] = {0, 1, 1, 17, 13, 17, 5};
  if (type < 1 || type > 6)
    return 0;
  const bool has_address = type == 3 || type == 5;
  return header_bytes + fixed[type] + (has_address ? (ipv4 ? 4U : 16U) : 0U);
}

void take(Walked& walked, const std::uint8_t* option, std::size_t at, std::size_t length,
          bool ipv4) {
  const std::size_t header_bytes = option[0] == 0x56 ? 3 : 5;
  walked.trap_options++;
  if (length < header_bytes || option[header_bytes - 1] >> 4 != 1) {
    walked.malformed = true;
    return;
  }
  walked.type = option[header_bytes - 1] & 15;
  walked.body = at + header_bytes;
  walked.malformed = walked.malformed || right_length(walked.type, header_bytes, ipv4) != length;
}

Walked walk(const std::uint8_t* area, std::size_t size, bool ipv4) {
  Walked walked;
  for (std::size_t at = 0; at < size && area[at] != 0;) {
    if (area[at] == 1) {
      at++;
      continue;
    }
    if (at + 1 >= size || area[at + 1] < 2 || at + area[at + 1] > size) {
      walked.malformed = true;
      return walked;
    }
    if (is_ours(area + at, area[at + 1]))
      take(walked, area + at, at, area[at + 1], ipv4);
    at += area[at + 1];
  }
  return walked;
}

void require(bool condition) {
  if (!condition)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1)
    return 0;
  const bool ipv4 = data[0] % 2 == 0;
  const std::size_t used = (size - 1 < 40 ? size - 1 : 40) / 4 * 4;
  std::uint8_t segment[60] = {};
  std::memcpy(segment + 20, data + 1, used);

  trap_option_area area;
  const trap_option option =
      trap_find_option(&area, segment, segment + 20 + used, static_cast<__u32>(20 + used),
                       ipv4 ? TRAP_IPV4 : TRAP_IPV6);
  const Walked expected = walk(segment + 20, used, ipv4);
  const bool refused = expected.trap_options > 1 || expected.malformed;
  require((option.defect != TRAP_OPTIONS_SOUND) == refused);
  if (refused)
    return 0;
  require(option.type == expected.type);
  require(option.type == TRAP_OPTION_NONE || option.body_offset == expected.body);
  return 0;
}
