// SPDX-License-Identifier: Apache-2.0
// Frames from frames: bytes and fields changed, headers put in and taken out, ends cut, parts of
// other frames put in. The same seed makes the same frames.
#pragma once

#include <random>

#include "tests/fuzz/walk/reading.h"

namespace trap::walk {

class Mutator {
public:
  // `words` are byte strings that mean something: addresses, numbers, tickets.
  Mutator(std::uint64_t seed, std::vector<Bytes> words) : random_(seed), words_(std::move(words)) {}

  // A frame of one of the corpus; most have a right IPv4 checksum, and lengths that fit.
  Bytes next(const std::vector<Bytes>& corpus);

private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  void change(Bytes& frame, const std::vector<Bytes>& corpus);
  void put_word(Bytes& frame);
  void put_field(Bytes& frame);
  void insert(Bytes& frame);
  void mend(Bytes& frame);

  std::mt19937_64 random_;
  std::vector<Bytes> words_;
};

} // namespace trap::walk
