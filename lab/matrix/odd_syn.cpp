// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/odd_syn.h"

#include <algorithm>
#include <iterator>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/packet/tcp_options.h"

namespace trap::lab {
namespace {

// Since Linux 6.7 the stack looks for TCP-MD5 before all else while this many bytes are left, and
// drops a SYN whose options do not parse so far.
constexpr std::size_t signature_bytes = 18;
constexpr std::uint8_t mss_kind = 2, scale_kind = 3, sack_kind = 4, timestamps_kind = 8;

// One option of an odd SYN.
Bytes odd_option(std::mt19937& random, std::uint32_t stamp) {
  const auto any_of = [&](const auto& values) { return values[random() % std::size(values)]; };
  constexpr std::uint16_t sizes[] = {0,    1,    48,   87,   88,   500,  536,  1000,  1219, 1220,
                                     1380, 1440, 1452, 1460, 1461, 4000, 8960, 65495, 65535};
  constexpr std::uint8_t kinds[] = {5, 9, 14, 28, 34, 69, 172, 252, 254, 255};
  constexpr std::uint8_t kinds_of_the_usual[] = {2, 3, 4, 8};
  switch (random() % 10) {
  case 0:
  case 1:
    return TcpOptions().mss(any_of(sizes)).bytes();
  case 2:
  case 3:
    return TcpOptions().window_scale(static_cast<std::uint8_t>(random() % 17)).bytes();
  case 4:
    return TcpOptions().sack_permitted().bytes();
  case 5:
  case 6:
    return TcpOptions()
        .timestamps(stamp, random() % 2 ? 0 : static_cast<std::uint32_t>(random()))
        .bytes();
  case 7:
    return TcpOptions().nop(1 + random() % 3).bytes();
  case 8: { // of a kind that the stack does not know
    Bytes option(2 + random() % 10, 0xa5);
    option[0] = any_of(kinds);
    option[1] = static_cast<std::uint8_t>(option.size());
    return option;
  }
  default: // of a length that is not the kind's, or that leads out of the options
    return {any_of(kinds_of_the_usual), static_cast<std::uint8_t>(random() % 12), 1};
  }
}

// The options that count, as RFC 9293 3.1 has a stack read them: up to the first that is none.
struct Understood {
  int mss = -1, scale = -1;
  bool sack = false, timestamps = false;
  std::uint32_t stamp = 0;
  bool is_refused = false;
};

Understood understand(const Bytes& options) {
  Understood syn;
  for (std::size_t at = 0; at < options.size() && options[at] != 0;) {
    if (options[at] == 1) {
      at++;
      continue;
    }
    const std::size_t length = at + 1 < options.size() ? options[at + 1] : 0;
    if (length < 2 || at + length > options.size()) {
      syn.is_refused = options.size() - at >= signature_bytes;
      break;
    }
    if (options[at] == mss_kind && length == 4) {
      if (const int mss = options[at + 2] << 8 | options[at + 3]; mss != 0 || syn.mss < 0)
        syn.mss = mss;
    } else if (options[at] == scale_kind && length == 3) {
      syn.scale = std::min<int>(options[at + 2], 14);
    } else if (options[at] == sack_kind && length == 2) {
      syn.sack = true;
    } else if (options[at] == timestamps_kind && length == 10) {
      syn.timestamps = true;
      syn.stamp = static_cast<std::uint32_t>(options[at + 2]) << 24 |
                  static_cast<std::uint32_t>(options[at + 3]) << 16 |
                  static_cast<std::uint32_t>(options[at + 4]) << 8 | options[at + 5];
    }
    at += length;
  }
  return syn;
}

} // namespace

OddSyn::OddSyn(std::uint32_t number) : number_(number) {
  std::mt19937 random{number};
  constexpr std::uint8_t odd_flags[] = {tcp_psh, tcp_urg, 0x40, 0x80};
  constexpr std::uint16_t windows[] = {0, 1, 512, 65535};
  constexpr std::uint32_t stamps[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
  constexpr std::size_t option_bytes = 40;
  const auto one_in = [&](unsigned of) { return random() % of == 0; };
  if (one_in(4))
    shape_.stamp = stamps[random() % std::size(stamps)];
  if (one_in(4))
    shape_.window = windows[random() % std::size(windows)];
  if (one_in(8))
    shape_.flags = odd_flags[random() % std::size(odd_flags)];
  if (one_in(8))
    shape_.hop_limit = one_in(2) ? 1 : 255;
  shape_.bytes = Bytes{};
  for (std::size_t left = random() % 7; left > 0; left--)
    if (const Bytes option = odd_option(random, shape_.stamp);
        shape_.bytes->size() + option.size() <= option_bytes)
      shape_.bytes->insert(shape_.bytes->end(), option.begin(), option.end());
  while (shape_.bytes->size() % 4 != 0)
    shape_.bytes->push_back(0);
}

bool OddSyn::is_out_of_place() const {
  const Understood syn = understand(*shape_.bytes);
  return syn.is_refused || (syn.timestamps && syn.stamp != shape_.stamp);
}

std::string OddSyn::name() const {
  return fmt::format("SYN {}: options {:02x}, window {}, flags {:02x}, hop limit {}", number_,
                     fmt::join(*shape_.bytes, " "), shape_.window, shape_.flags, shape_.hop_limit);
}

std::set<std::string_view> OddSyn::differences(Family family) const {
  constexpr int common_sizes[] = {536, 1220, 1300, 1360, 1400, 1440, 1460};
  constexpr int common_scales[] = {0, 2, 6, 7, 8, 10};
  const int longest = family == Family::ipv4 ? 1460 : 1440;
  const int least = family == Family::ipv4 ? 536 : 1220;
  const Understood syn = understand(*shape_.bytes);
  std::set<std::string_view> may;
  if (syn.mss < 0)
    may.insert({"SYN-ACK: MSS", "SYN-ACK: options"});
  else if (const int mss = std::min(syn.mss, longest);
           syn.mss > longest || mss < least || !std::ranges::count(common_sizes, mss))
    may.insert("stack: largest segment");
  if (shape_.window < 2 * longest) // the stack sends at most half of it at once
    may.insert("stack: largest segment");
  if (syn.mss > 0 && syn.mss < 100) // so many segments take longer than a conversation may
    may.insert({"response", "end"});
  if (syn.timestamps)
    return may;
  may.insert("stack: round trip, us");
  if (syn.scale >= 0 && !syn.sack)
    may.insert({"SYN-ACK: options", "SYN-ACK: window scale", "stack: its own scale",
                "stack: the client's scale"});
  else if (syn.scale >= 0 && !std::ranges::count(common_scales, syn.scale))
    may.insert("stack: the client's scale");
  return may;
}

} // namespace trap::lab
