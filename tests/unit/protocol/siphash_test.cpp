// SPDX-License-Identifier: Apache-2.0
// SipHash-2-4 against the 64 reference vectors, and against libsodium's for messages of the shapes
// TRAP hashes; SipHash-1-3 against the reference of tests/vectors, which agrees with Python's own.
#include "protocol/siphash.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <cstring>
#include <random>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

using Hash = __u64 (*)(const trap_key*, const __u64*, __u32, __u64, __u32);

std::uint64_t hash_of(const trap_key& key, const Bytes& message, Hash hash = trap_siphash_words) {
  std::uint64_t words[32] = {};
  std::uint64_t tail = 0;
  const std::size_t count = message.size() / 8;
  if (!message.empty()) {
    std::memcpy(words, message.data(), count * 8);
    std::memcpy(&tail, message.data() + count * 8, message.size() % 8);
  }
  const auto* all = reinterpret_cast<const __u64*>(words);
  return hash(&key, all, static_cast<__u32>(count), tail, message.size() % 8);
}

Bytes counting_bytes(std::size_t length) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; i++)
    bytes[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

TEST(SipHash, says_what_its_authors_print_for_lengths_0_to_63) {
  const Json vectors = read_json("siphash.json");
  const trap_key key = read_key(vectors["key"]);
  ASSERT_EQ(vectors["macs"].size(), 64u);
  for (std::size_t length = 0; length < 64; length++) {
    const std::uint64_t hash = hash_of(key, counting_bytes(length));
    EXPECT_EQ(to_hex(&hash, sizeof hash), vectors["macs"][length].get<std::string>())
        << "length " << length;
  }
}

TEST(SipHash, with_fewer_rounds_says_what_the_reference_says) {
  const Json vectors = read_json("siphash.json");
  const trap_key key = read_key(vectors["key"]);
  ASSERT_EQ(vectors["macs_1_3"].size(), 64u);
  for (std::size_t length = 0; length < 64; length++) {
    const std::uint64_t hash = hash_of(key, counting_bytes(length), trap_siphash13_words);
    EXPECT_EQ(to_hex(&hash, sizeof hash), vectors["macs_1_3"][length].get<std::string>())
        << "length " << length;
  }
}

TEST(SipHash, agrees_with_libsodium_on_random_keys_and_messages) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; i++) {
    const std::uint64_t key[] = {random(), random()};
    Bytes message(random() % 64);
    for (auto& byte : message)
      byte = static_cast<std::uint8_t>(random());
    std::uint64_t expected = 0;
    crypto_shorthash_siphash24(reinterpret_cast<unsigned char*>(&expected), message.data(),
                               message.size(), reinterpret_cast<const unsigned char*>(key));
    ASSERT_EQ(hash_of(trap_key_make(key[0], key[1]), message), expected) << to_hex(message);
  }
}

} // namespace
} // namespace trap::test
