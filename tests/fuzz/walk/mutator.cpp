// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/walk/mutator.h"

#include <algorithm>

namespace trap::walk {
namespace {

constexpr std::size_t least_bytes = 15; // test runs take no shorter frame
constexpr std::size_t most_bytes = 1400;

std::ptrdiff_t at(std::size_t offset) {
  return static_cast<std::ptrdiff_t>(offset);
}

// Where the network header begins, 0: nowhere.
std::size_t network_header(const Bytes& frame) {
  std::size_t l3 = 14;
  while (frame.size() > l3 + 4 && l3 < 22 &&
         ((frame[l3 - 2] == 0x81 && frame[l3 - 1] == 0) ||
          (frame[l3 - 2] == 0x88 && frame[l3 - 1] == 0xa8)))
    l3 += 4;
  return frame.size() > l3 + 20 ? l3 : 0;
}

void put16(Bytes& frame, std::size_t offset, std::size_t value) {
  frame[offset] = static_cast<std::uint8_t>(value >> 8);
  frame[offset + 1] = static_cast<std::uint8_t>(value);
}

void mend_checksum(Bytes& frame, std::size_t l3) {
  const std::size_t bytes = static_cast<std::size_t>(frame[l3] & 15) * 4;
  if (bytes < 20 || frame.size() < l3 + bytes)
    return;
  put16(frame, l3 + 10, 0);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2)
    sum += static_cast<std::uint32_t>(frame[l3 + i]) << 8 | frame[l3 + i + 1];
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  put16(frame, l3 + 10, ~sum & 0xffff);
}

} // namespace

void Mutator::put_word(Bytes& frame) {
  const Bytes& word = words_[below(words_.size())];
  const std::size_t step = below(2) == 0 ? 1 : 2; // most fields are at even places
  const std::size_t offset = below(frame.size()) / step * step;
  const std::size_t bytes = std::min(word.size(), frame.size() - offset);
  std::copy_n(word.begin(), bytes, frame.begin() + at(offset));
}

// A field that decides: version and length, protocol, fragment, flags, data offset, ports.
void Mutator::put_field(Bytes& frame) {
  const std::size_t l3 = network_header(frame);
  if (l3 == 0)
    return;
  const bool ipv6 = frame[l3] >> 4 == 6;
  const std::size_t l4 = l3 + (ipv6 ? 40 : std::max<std::size_t>(5, frame[l3] & 15) * 4);
  static constexpr std::size_t of_ipv4[] = {0, 2, 3, 6, 7, 9}, of_ipv6[] = {0, 4, 5, 6},
                               of_tcp[] = {0, 2, 3, 8, 12, 13, 13, 13, 20, 21, 22};
  static constexpr std::uint8_t values[] = {0,    1,    2,  4,   6,   16,   17,   18,   20,
                                            24,   43,   44, 51,  58,  60,   0x20, 0x45, 0x46,
                                            0x50, 0x60, 80, 128, 253, 0x56, 0x7f, 255};
  std::size_t offset = 0;
  if (below(3) == 0)
    offset = l3 + (ipv6 ? of_ipv6[below(std::size(of_ipv6))] : of_ipv4[below(std::size(of_ipv4))]);
  else
    offset = l4 + of_tcp[below(std::size(of_tcp))];
  if (offset < frame.size())
    frame[offset] = values[below(std::size(values))];
}

// A VLAN tag, an IPv6 extension header, or bytes anywhere.
void Mutator::insert(Bytes& frame) {
  const std::size_t l3 = network_header(frame);
  if (below(3) == 0 || l3 == 0) {
    const std::size_t place = below(frame.size() + 1);
    frame.insert(frame.begin() + at(place), 1 + below(16), static_cast<std::uint8_t>(random_()));
    return;
  }
  if (below(2) == 0 || frame[l3] >> 4 != 6 || frame.size() < l3 + 40) {
    const Bytes tag = {0x81, 0, 0, static_cast<std::uint8_t>(below(4))};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return;
  }
  static constexpr std::uint8_t kinds[] = {0, 43, 44, 51, 60};
  Bytes header(8);
  header[0] = frame[l3 + 6];
  frame[l3 + 6] = kinds[below(std::size(kinds))];
  if (below(4) == 0)
    header[1 + below(3)] = static_cast<std::uint8_t>(below(4));
  frame.insert(frame.begin() + at(l3 + 40), header.begin(), header.end());
}

void Mutator::change(Bytes& frame, const std::vector<Bytes>& corpus) {
  switch (below(8)) {
  case 0:
    frame[below(frame.size())] ^= static_cast<std::uint8_t>(1U << below(8));
    break;
  case 1:
    frame[below(frame.size())] = static_cast<std::uint8_t>(random_());
    break;
  case 2:
    put_word(frame);
    break;
  case 3:
    frame.resize(least_bytes + below(frame.size()));
    break;
  case 4:
    insert(frame);
    break;
  case 5: {
    const Bytes& other = corpus[below(corpus.size())];
    const std::size_t from = below(std::min(other.size(), frame.size()));
    const std::size_t bytes = below(std::min(other.size(), frame.size()) - from + 1);
    std::copy_n(other.begin() + at(from), bytes, frame.begin() + at(from));
    break;
  }
  default:
    put_field(frame);
    break;
  }
  frame.resize(std::clamp(frame.size(), least_bytes, most_bytes));
}

// Most frames are to get beyond the first check.
void Mutator::mend(Bytes& frame) {
  const std::size_t l3 = network_header(frame);
  if (l3 == 0)
    return;
  const bool ipv6 = frame[l3 - 2] == 0x86 && frame[l3 - 1] == 0xdd;
  if (below(4) != 0 && ipv6 && frame.size() > l3 + 40)
    put16(frame, l3 + 4, frame.size() - l3 - 40);
  if (ipv6)
    return;
  if (below(4) != 0)
    put16(frame, l3 + 2, frame.size() - l3);
  if (below(8) != 0)
    mend_checksum(frame, l3);
}

Bytes Mutator::next(const std::vector<Bytes>& corpus) {
  Bytes frame = corpus[below(corpus.size())];
  for (std::size_t changes = 1 + below(3); changes > 0; changes--)
    change(frame, corpus);
  if (below(4) != 0)
    mend(frame);
  return frame;
}

} // namespace trap::walk
