// SPDX-License-Identifier: Apache-2.0
// Frames of a TCP flood: random sources out of the benchmarking and documentation prefixes, right
// checksums. A frame is built once and then patched, a million times a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/packet/segment.h"

namespace trap::lab {

enum class FloodKind { syn, ack, rst, fin };

// Destination and kind of the frames.
struct FloodTarget {
  MacAddress source_mac{};
  MacAddress gateway_mac{};
  Endpoint target{};
  FloodKind kind = FloodKind::syn;
  bool many_sources = false; // IPv4: a new one out of 2^28 for nearly every frame, instead of 2^17
};

constexpr std::size_t flood_frame_max = 14 + 40 + 24;

// xorshift64*: good enough to scatter sources, and 1 ns a number.
class Scatter {
public:
  explicit Scatter(std::uint64_t seed) : state_(seed | 1) {}
  std::uint64_t next();

private:
  std::uint64_t state_;
};

// Writes the fields that stay the same. Returns the frame's length.
std::size_t prepare_flood_frame(const FloodTarget& target,
                                std::span<std::uint8_t, flood_frame_max> frame);

// Gives a prepared frame a new source address, port, sequence and acknowledgment number, and its
// checksums.
void scatter_flood_frame(const FloodTarget& target, Scatter& scatter,
                         std::span<std::uint8_t> frame);

} // namespace trap::lab
