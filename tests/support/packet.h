// SPDX-License-Identifier: Apache-2.0
// Frames from readable descriptions, byte by byte and without the product's code, so that what they
// prove is independent of it. tests/bpf/README.md lists what a description may say.
#pragma once

#include "tests/support/test_constants.h"

namespace trap::test {

// The frame a description means, with right lengths and checksums wherever it does not say
// otherwise. `family` is 4 or 6.
Bytes build_packet(const Json& description, int family, const TestConstants& constants);

// Bytes of the TCP options that a list of option descriptions means, not padded.
Bytes build_options(const Json& options, int family, const TestConstants& constants);

// RFC 1071 over bytes in network order, as the value of the checksum field.
std::uint16_t internet_checksum(const Bytes& bytes);

// "" if the frames are the same; else where they first differ, and both in hexadecimal.
std::string difference(const Bytes& expected, const Bytes& got);

} // namespace trap::test
