// SPDX-License-Identifier: Apache-2.0
// Frames of a TCP flood: random sources out of the benchmarking and documentation prefixes, full
// checksums. Built by hand because every field is rewritten for every frame, a million times a
// second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <netinet/in.h>

#include "lab/hosts/addresses.h"

namespace trap::lab {

enum class FloodKind { syn, ack, rst, fin };

// Where the frames go. `target` holds 4 or 16 bytes of address, as `family` (4 or 6) says.
struct FloodTarget {
  MacAddress source_mac{};
  MacAddress gateway_mac{};
  int family = 4;
  in6_addr target{};
  std::uint16_t port = 80;
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

// Writes everything that stays the same; returns the frame's length.
std::size_t prepare_flood_frame(const FloodTarget& target,
                                std::span<std::uint8_t, flood_frame_max> frame);

// Gives a prepared frame a new source address, port, sequence and acknowledgment number, and its
// checksums.
void scatter_flood_frame(const FloodTarget& target, Scatter& scatter,
                         std::span<std::uint8_t> frame);

} // namespace trap::lab
