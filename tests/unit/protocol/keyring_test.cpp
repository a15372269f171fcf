// SPDX-License-Identifier: Apache-2.0
// Keys by epoch: what the ring finds, and which epochs a byte can name.
#include "protocol/keyring.h"

#include <gtest/gtest.h>

namespace trap::test {
namespace {

trap_keyring ring_around(std::uint64_t now) {
  trap_keyring ring = {};
  for (std::uint64_t epoch = now - 1; epoch <= now + 6; epoch++)
    ring.slots[epoch % TRAP_KEYRING_SLOTS] = {.epoch = epoch, .key = trap_key_make(epoch, ~epoch)};
  return ring;
}

TEST(Keyring, finds_the_key_of_each_epoch_it_holds) {
  for (const std::uint64_t now : {2ULL, 7ULL, 255ULL, 256ULL, 409272ULL, 1ULL << 40}) {
    const trap_keyring ring = ring_around(now);
    for (std::uint64_t epoch = now - 1; epoch <= now + 6; epoch++) {
      trap_key key = {};
      ASSERT_TRUE(trap_keyring_find(&ring, epoch, &key)) << epoch;
      const trap_key expected = trap_key_make(epoch, ~epoch);
      EXPECT_TRUE(trap_key_equal(&key, &expected));
    }
    trap_key key = {};
    EXPECT_FALSE(trap_keyring_find(&ring, now - 2, &key));
    EXPECT_FALSE(trap_keyring_find(&ring, now + 7, &key));
  }
}

TEST(Keyring, an_empty_ring_has_no_key_for_any_real_epoch) {
  const trap_keyring ring = {};
  trap_key key = {};
  for (std::uint64_t epoch = 1; epoch < 100; epoch++)
    EXPECT_FALSE(trap_keyring_find(&ring, epoch, &key));
}

TEST(Keyring, a_byte_names_the_previous_the_present_or_the_next_epoch) {
  for (const std::uint64_t now : {256ULL, 511ULL, 512ULL, 409272ULL, 0xffffULL}) {
    for (int byte = 0; byte < 256; byte++) {
      std::uint64_t expected = 0;
      for (std::uint64_t epoch = now - 1; epoch <= now + 1; epoch++) {
        if ((epoch & 0xff) == static_cast<std::uint64_t>(byte))
          expected = epoch;
      }
      EXPECT_EQ(trap_epoch_from_byte(now, static_cast<__u8>(byte)), expected) << now << " " << byte;
    }
  }
}

} // namespace
} // namespace trap::test
