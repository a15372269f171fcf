// SPDX-License-Identifier: Apache-2.0
// Every combination of TCP flags has one kind, and the checksum agrees with RFC 1071 computed byte
// by byte.
#include "dataplane/segment.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/checksum.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

trap_segment expected_kind(int flags) {
  const bool fin = (flags & 1) != 0;
  const bool syn = (flags & 2) != 0;
  const bool rst = (flags & 4) != 0;
  const bool ack = (flags & 16) != 0;
  if (fin + syn + rst > 1 || (fin && !ack))
    return TRAP_SEGMENT_ABSURD;
  if (syn)
    return ack ? TRAP_SEGMENT_SYN_ACK : TRAP_SEGMENT_SYN;
  if (rst)
    return TRAP_SEGMENT_RST;
  if (fin)
    return TRAP_SEGMENT_FIN;
  return ack ? TRAP_SEGMENT_ACK : TRAP_SEGMENT_NULL;
}

TEST(Segment, every_combination_of_flags_has_its_kind) {
  for (int flags = 0; flags < 256; flags++)
    EXPECT_EQ(trap_segment_kind(static_cast<__u8>(flags)), expected_kind(flags)) << flags;
}

TEST(Checksum, agrees_with_the_plain_computation) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 5000; i++) {
    Bytes bytes(4 * (1 + random() % 15));
    for (auto& byte : bytes)
      byte = static_cast<std::uint8_t>(random() % 8 == 0 ? 0xff : random());
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 4) {
      std::uint32_t word = 0;
      std::memcpy(&word, &bytes[at], 4);
      sum += word;
    }
    ASSERT_EQ(TRAP_FROM_BE16(trap_sum_fold(sum)), internet_checksum(bytes)) << to_hex(bytes);
  }
}

TEST(Checksum, folds_the_greatest_sums) {
  EXPECT_EQ(trap_sum_fold(0), 0xffff);
  EXPECT_EQ(trap_sum_fold(0xffff), 0);
  EXPECT_EQ(trap_sum_fold(0xffffffff), 0);
  for (const std::uint64_t sum :
       {0xffffffffffffffffULL, 0xffff0000ffff0000ULL, 0x1ffffffffULL, 0xfffffffeffffffffULL}) {
    std::uint64_t expected = sum;
    while (expected > 0xffff)
      expected = (expected & 0xffff) + (expected >> 16);
    EXPECT_EQ(trap_sum_fold(sum), static_cast<std::uint16_t>(~expected)) << sum;
  }
}

TEST(Checksum, of_the_pseudo_header_counts_both_addresses_the_protocol_and_the_length) {
  for (const char* const name : {"192.0.2.2", "2001:db8:2:3:4:5:6:7"}) {
    const Address a = read_address(name);
    const Address b = read_address(a.family == TRAP_IPV4 ? "203.0.113.255" : "2001:db8:ffff::ffff");
    for (const std::uint32_t bytes : {20u, 24u, 60u, 1480u}) {
      Bytes pseudo = wire_bytes(a);
      const Bytes other = wire_bytes(b);
      pseudo.insert(pseudo.end(), other.begin(), other.end());
      const Bytes rest = {
          0, 0, static_cast<std::uint8_t>(bytes >> 8), static_cast<std::uint8_t>(bytes), 0, 0,
          0, 6};
      pseudo.insert(pseudo.end(), rest.begin(), rest.end());
      EXPECT_EQ(TRAP_FROM_BE16(trap_sum_fold(trap_sum_pseudo(&a.value, &b.value, a.family, bytes))),
                internet_checksum(pseudo));
    }
  }
}

} // namespace
} // namespace trap::test
