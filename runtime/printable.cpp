// SPDX-License-Identifier: Apache-2.0
#include "runtime/printable.h"

#include <cstdint>
#include <optional>

#include <fmt/core.h>

namespace trap {
namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;
};

// The character that `text` begins with; empty if it begins with none (RFC 3629).
std::optional<Character> first_character(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80)
    return Character{lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes)
    return std::nullopt;
  std::uint32_t code = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; i++) {
    if (at(i) >> 6 != 2)
      return std::nullopt;
    code = code << 6 | (at(i) & 0x3fU);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
    return std::nullopt;
  return Character{code, bytes};
}

bool changes_direction(std::uint32_t code) {
  return code == 0x61c || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

} // namespace

std::string as_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto character = first_character(text);
    const std::size_t bytes = character ? character->bytes : 1;
    if (character)
      out += text.substr(0, bytes);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    text.remove_prefix(bytes);
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto character = first_character(text);
    const std::size_t bytes = character ? character->bytes : 1;
    if (!character)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (character->code == '\n')
      out += "\\n";
    else if (character->code == '\t')
      out += "\\t";
    else if (character->code < 0x20 || character->code == 0x7f)
      out += fmt::format("\\x{:02x}", character->code);
    else if ((character->code >= 0x80 && character->code < 0xa0) ||
             changes_direction(character->code))
      out += fmt::format("\\u{:04x}", character->code);
    else
      out += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return out;
}

} // namespace trap
